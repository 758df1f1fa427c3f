// Questions to the server, each relative to the page, so that it works under a sub-path.

import { known, t } from './words.js';

export const address = (path) => new URL(`api/v1/${path}`, document.baseURI).href;

export class Refused extends Error {
  /** `said`: the problem+json of the server, if it sent one. */
  constructor(status, said) {
    const key = `problem_${said?.code}`;
    super(known(key) ? t(key, said) : said?.detail || said?.title || `${status}`);
    this.status = status;
    this.code = said?.code;
    this.refusal = said?.refusal; // of the bridge: {code, facts}
    this.detail = said?.detail ?? '';
  }
}

const PATIENCE_MS = 20_000;

async function answered(path, options) {
  const got = await fetch(address(path), {
    credentials: 'same-origin',
    cache: 'no-store',
    signal: AbortSignal.timeout(PATIENCE_MS),
    ...options,
  });
  const isJson = (got.headers.get('content-type') ?? '').includes('json');
  const body = isJson ? await got.json() : null;
  if (!got.ok) throw new Refused(got.status, body);
  return body;
}

export const read = (path) => answered(path, {});

export const send = (path, body, method = 'POST') =>
  answered(path, {
    method,
    headers: { 'Content-Type': 'application/json', 'X-Suimon': 'page' },
    body: JSON.stringify(body),
  });
