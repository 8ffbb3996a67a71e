// Calls of the agent's API. Nothing here throws: what came of a call is a value.

/// Longer than the agent ever takes; then it hangs, and what was to be done waits for it.
const PATIENCE_MS = 10000;

let signedOut = () => {};

/// Says what to do when the agent does not know this page any more.
export const onSignedOut = (act) => { signedOut = act; };

/// Calls; `status` 0 where there was no answer.
export async function call(method, path, body, key, patienceMs = PATIENCE_MS) {
  const headers = { 'Vitrina-Page': '1' };
  if (body !== undefined && body !== null) headers['Content-Type'] = 'application/json';
  if (key) headers['Idempotency-Key'] = key;
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), patienceMs);
  try {
    const answer = await fetch(path, {
      method, headers, signal: stop.signal, cache: 'no-store',
      body: headers['Content-Type'] ? JSON.stringify(body) : undefined,
    });
    const json = await answer.json().catch(() => null);
    if (answer.status === 401) signedOut();
    return { status: answer.status, body: json };
  } catch {
    return { status: 0, body: null };
  } finally {
    clearTimeout(timer);
  }
}

/// Whether the same call may do better later: the agent is away, busy, or wants to know first who we are.
export const isForLater = ({ status }) => [0, 401, 429, 503].includes(status);
