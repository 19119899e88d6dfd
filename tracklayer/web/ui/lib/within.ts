// What must be done in time: where nobody answers, nothing waits for ever.

/** What `work` gives. It is aborted when so many ms are over, or by `signal`: then it throws. */
export async function within<Result>(ms: number, work: (signal: AbortSignal) => Promise<Result>, signal?: AbortSignal): Promise<Result> {
  const controller = new AbortController()
  const stop = () => controller.abort()
  const timer = setTimeout(stop, ms)
  signal?.addEventListener('abort', stop)
  if (signal?.aborted) stop()
  try {
    return await work(controller.signal)
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
  }
}
