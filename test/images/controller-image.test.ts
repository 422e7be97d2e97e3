import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import packageJson from '../../package.json' with { type: 'json' };
import { debianBaseImage, pushBaseImage } from '../../scripts/cluster/base-image.ts';
import { findDockerRegistry } from '../../scripts/cluster/registry.ts';
import { pushControllerImage } from '../../src/engine/images/controller-image.ts';
import { DistributionRegistry } from '../../src/engine/registry/distribution.ts';
import { openHome } from '../../src/home/home.ts';
import { startDockerRegistry } from './docker-registry.ts';
import { ARCHITECTURE } from './package-world.ts';
import { findPodman, openPodman } from './podman.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const found = findDockerRegistry();
const debian = 'skip' in found ? found : await debianBaseImage();
const podmanFound = findPodman();

if ('skip' in found) test('the image of the controller', { skip: found.skip }, () => {});
else if ('skip' in debian) test('the image of the controller', { skip: debian.skip }, () => {});
else {
  test(
    'Node and the bundles run in an image that was composed of them, which is pushed once',
    podmanFound,
    async (t) => {
      const running = await startDockerRegistry(found.command);
      const podman = await openPodman();
      const folder = await mkdtemp(join(tmpdir(), 'aksml-controller-'));
      t.after(async () => {
        await podman.close();
        await running.stop();
        await rm(folder, { recursive: true, force: true });
      });
      const base = await pushBaseImage(debian, new DistributionRegistry(running.host, { fetch }));
      const tools = {
        home: openHome({ AKSML_HOME: folder }),
        environment: process.env,
        clock: () => new Date(),
        fetch,
        version: packageJson.version,
      };
      const push = () =>
        pushControllerImage(tools, new DistributionRegistry(`${running.host}/team`, { fetch }), {
          base,
          platform: { os: 'linux', architecture: ARCHITECTURE },
          content: [{ from: join(ROOT, 'dist'), to: '/opt/aksml/dist' }],
          arguments: ['/opt/aksml/dist/cli.js'],
        });
      const pushed = await push();
      assert.equal(pushed.reference, `${running.host}/team/controller@${pushed.digest}`);
      assert.deepEqual(await push(), { ...pushed, reused: true });
      await podman.run('pull', '--tls-verify=false', pushed.reference);
      const run = ['run', '--rm', '--network', 'host', '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];
      const said = await podman.run(...run, '--env', 'AKSML_HOME=/tmp/home', pushed.reference, '--version');
      assert.ok(said.includes(packageJson.version), said);
    },
  );
}
