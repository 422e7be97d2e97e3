const LARGEST_BATCH = 64 * 1024;
const LONGEST_WAIT_MS = 50;
const MOST_ITEMS = 1000;

/**
 * Hands a stream on in batches: what comes within a moment, or as much as is worth a message. While one is on its way, no more is read than
 * the next may hold, so that a slow reader slows the source down.
 */
export async function batched<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal,
  emit: (items: readonly T[]) => Promise<void>,
  sizeOf: (item: T) => number = () => 0,
): Promise<void> {
  let items: T[] = [];
  let size = 0;
  let timer: NodeJS.Timeout | undefined;
  let sending = Promise.resolve();
  let failure: unknown;
  const flush = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    if (items.length === 0) return sending;
    const batch = items;
    items = [];
    size = 0;
    sending = sending
      .then(() => emit(batch))
      .catch((error: unknown) => {
        failure ??= error;
      });
    return sending;
  };
  try {
    for await (const item of source) {
      if (failure !== undefined) throw failure;
      items.push(item);
      size += sizeOf(item);
      if (size >= LARGEST_BATCH || items.length >= MOST_ITEMS) await flush();
      else timer ??= setTimeout(() => void flush(), LONGEST_WAIT_MS);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await flush();
  }
}
