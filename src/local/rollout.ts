/** A replica as the plan sees it. */
export interface PlannedReplica {
  readonly id: string;
  readonly image: string;
  readonly ready: boolean;
  readonly draining: boolean;
}

export interface RolloutFacts {
  /** Undefined when the version is to go. */
  readonly wanted: { readonly image: string; readonly replicas: number } | undefined;
  /** The last image that was up with all replicas. */
  readonly served: string | undefined;
  /** Oldest first. */
  readonly replicas: readonly PlannedReplica[];
  /** The wanted image listens on one fixed port, so nothing else of the version may run beside it. */
  readonly exclusive: boolean;
}

export interface RolloutPlan {
  /** Images of the replicas to start. */
  readonly start: readonly string[];
  /** Ids of replicas that shall get nothing new and end when idle. */
  readonly drain: readonly string[];
  /** Ids of replicas that serve nobody and end at once. */
  readonly stop: readonly string[];
  /** What counts as served from now on. */
  readonly served: string | undefined;
}

/**
 * Level-based: from what is there to what shall be there, whatever happened before. Old replicas go only when as many new ones answer as
 * are wanted; until then they are even replaced when they die, so that a failing deployment takes nothing away.
 */
export function planRollout(facts: RolloutFacts): RolloutPlan {
  const live = facts.replicas.filter((replica) => !replica.draining);
  const targets = targetsOf(facts, live);
  const plan = { start: [] as string[], drain: [] as string[], stop: [] as string[] };
  for (const [image, count] of targets) {
    const running = live.filter((replica) => replica.image === image);
    for (let missing = count - running.length; missing > 0; missing--) plan.start.push(image);
    for (const replica of surplus(running, running.length - count))
      plan[replica.ready ? 'drain' : 'stop'].push(replica.id);
  }
  for (const replica of live) {
    if (!targets.has(replica.image)) plan[replica.ready ? 'drain' : 'stop'].push(replica.id);
  }
  if (facts.exclusive && facts.replicas.some((replica) => replica.image !== facts.wanted?.image)) plan.start = [];
  return { ...plan, served: isComplete(facts, live) ? facts.wanted?.image : facts.served };
}

function targetsOf(facts: RolloutFacts, live: readonly PlannedReplica[]): Map<string, number> {
  const { wanted, served } = facts;
  const targets = new Map<string, number>();
  if (!wanted) return targets;
  if (served !== undefined && !facts.exclusive && !isComplete(facts, live)) targets.set(served, wanted.replicas);
  return targets.set(wanted.image, wanted.replicas);
}

function isComplete({ wanted }: RolloutFacts, live: readonly PlannedReplica[]): boolean {
  if (!wanted) return false;
  return live.filter(({ image, ready }) => image === wanted.image && ready).length >= wanted.replicas;
}

/** Those that cost least to lose: first the ones that are not ready, then the youngest. */
function surplus(replicas: readonly PlannedReplica[], count: number): PlannedReplica[] {
  if (count <= 0) return [];
  const youngestFirst = replicas.toReversed();
  return [...youngestFirst.filter(({ ready }) => !ready), ...youngestFirst.filter(({ ready }) => ready)].slice(
    0,
    count,
  );
}
