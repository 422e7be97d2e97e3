import { after, before, describe } from 'node:test';
import { bodies, streaming } from './data-plane-bodies.ts';
import { changes, traffic } from './data-plane-changes.ts';
import { admission, failures } from './data-plane-queue.ts';
import { authentication, headers, routing } from './data-plane-requests.ts';
import { type DataPlane, World } from './data-plane-world.ts';

/** The contract that every data plane keeps, whatever it is made of. */
export function dataPlaneConformance(name: string, start: () => Promise<DataPlane>): void {
  describe(name, () => {
    let plane: DataPlane;
    before(async () => {
      plane = await start();
    });
    after(() => plane.close());
    const world = () => new World(plane);
    routing(world);
    authentication(world);
    headers(world);
    bodies(world);
    failures(world);
    admission(world);
    traffic(world);
    streaming(world);
    changes(world);
  });
}
