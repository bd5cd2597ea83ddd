import { get } from 'node:http';

const EVERY_MS = 5;
const PATIENCE_MS = 1000;
/** A service that hangs must not make us pile up questions. */
const MOST_OPEN = 50;

/** Asks the service for its version every 5 ms, as its users would, and remembers who answered when. */
export function startProber(url) {
  /** {at, version}, in the order of the answers; `version` is undefined where none came. */
  const answers = [];
  let open = 0;
  const ask = () => {
    if (open >= MOST_OPEN) return;
    open += 1;
    let settled = false;
    const done = (version) => {
      if (settled) return;
      settled = true;
      open -= 1;
      answers.push({ at: Date.now(), version });
    };
    const request = get(url, { agent: false, timeout: PATIENCE_MS }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text) => {
        body += text;
      });
      response.on('end', () => done(versionIn(body))).on('error', () => done());
    });
    request.on('timeout', () => request.destroy()).on('error', () => done());
  };
  const timer = setInterval(ask, EVERY_MS);
  return {
    /** Times without an answer that a user could have met: from the last good answer before to the first good one after. */
    outages: (from, to) => outagesIn(answers.filter(({ at }) => at >= from && at <= to)),
    stop: () => clearInterval(timer),
  };
}

/** Each run of failed questions between two good answers; what was before the first good one is no outage. */
export function outagesIn(answers) {
  const outages = [];
  let last;
  let failed = false;
  for (const { at, version } of answers) {
    if (version === undefined) failed = true;
    else {
      if (failed && last !== undefined) outages.push({ from: last, to: at });
      last = at;
      failed = false;
    }
  }
  return outages;
}

function versionIn(body) {
  try {
    return JSON.parse(body).version;
  } catch {
    return undefined;
  }
}
