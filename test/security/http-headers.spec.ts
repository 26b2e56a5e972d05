import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabaseUrl } from '../database.ts';
import { PrelimServer } from '../peers/prelim-server.ts';

const EHR = 'https://ehr.example';
/** Enough for the other tests of this file, and few enough to be used up in one. */
const RATES = {
  RATE_ADDRESS_PER_SECOND: '40',
  RATE_SIGN_IN_PER_MINUTE: '30',
  RATE_CLIENT_OPEN_MAX: '8',
};

let server: PrelimServer;
beforeAll(async () => {
  server = await PrelimServer.start({
    DATABASE_URL: (await freshDatabaseUrl()).replace('@/', '@localhost/'),
    FRAME_ANCESTORS: EHR,
    TRUSTED_PROXIES: '127.0.0.0/8',
    BASE_URL: 'https://prelim.example',
    ...RATES,
  });
  await server.ask('PUT', '/fhir/Patient/p', { resourceType: 'Patient', id: 'p' });
});
afterAll(() => server.close());

/** A request of its own address, as a trusted proxy states it: so that one test's floods do not reach the next. */
let addresses = 0;
const from = () => {
  addresses += 1;
  return `198.51.100.${addresses}`;
};
const anonymous = (path: string, init: RequestInit = {}, address = from()) =>
  fetch(`${server.url}${path}`, {
    redirect: 'manual',
    ...init,
    headers: { 'x-forwarded-for': address, ...(init.headers as Record<string, string>) },
  });

describe('the headers of every answer', () => {
  it.each([
    ['GET', '/fhir/Patient/p', 200],
    ['GET', '/fhir/Patient', 200],
    ['GET', '/fhir/Patient/none', 404],
    ['GET', '/fhir/metadata', 200],
    ['GET', '/dicomweb/studies', 204],
    ['GET', '/worklist/api/rows', 200],
    ['GET', '/health/ready', 200],
    ['GET', '/metrics', 200],
    ['GET', '/nothing-here', 404],
    ['POST', '/fhir/Patient', 400],
    ['DELETE', '/fhir/Patient', 412],
  ])('%s %s: nothing is kept, guessed, framed or told on', async (method, path, expected) => {
    const { status, headers } = await server.ask(method, path);
    expect([expected, status >= 400 && expected >= 400 ? status : expected]).toContain(status);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    // The address others use is https, so that browsers are to come back that way.
    expect(headers.get('strict-transport-security')).toMatch(/^max-age=\d{8}/);
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).toMatch(/default-src '(none|self)'/);
    expect(policy).not.toMatch(/unsafe-|\*|data:/);
    expect(headers.get('x-powered-by') ?? headers.get('server')).toBeNull();
  });

  it('are there when a request is refused before it reaches a route', async () => {
    for (const [path, status] of [
      ['/fhir/Patient', 401],
      ['/%2e%2e/x', 401],
      ['/jobs/dead', 401],
    ] as const) {
      const answer = await anonymous(path);
      expect(answer.status).toBe(status);
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
      expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(answer.headers.get('cache-control')).toBe('no-store');
    }
  });

  it('a page runs no inline script and may be framed by the EHR that is configured, and by nobody else', async () => {
    const page = await anonymous('/worklist/');
    const policy = page.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("script-src 'self'");
    expect(policy).toContain("object-src 'none'");
    expect(policy).toContain("base-uri 'none'");
    expect(policy).toContain(`frame-ancestors ${EHR}`);
    expect(policy).not.toMatch(/unsafe-inline|unsafe-eval|strict-dynamic|nonce-/);
    expect(page.headers.get('x-frame-options')).toBeNull();
    const html = await page.text();
    expect(html).not.toMatch(/<script(?![^>]*\bsrc=)|\son\w+=|javascript:/i);
    // All else stays unframed, the EHR or not.
    expect((await server.ask('GET', '/fhir/Patient/p')).headers.get('content-security-policy')).toContain(
      "frame-ancestors 'none'",
    );
  });
});

describe('a change that only a cookie vouches for', () => {
  const body = JSON.stringify({ resourceType: 'Patient' });
  const cookie = 'prelim_session=whatever; __Host-prelim=whatever';
  const send = (headers: Record<string, string>, method = 'POST', path = '/fhir/Patient') =>
    anonymous(path, {
      method,
      body,
      headers: { 'content-type': 'application/fhir+json', cookie, ...headers },
    });
  const code = async (answer: Response) =>
    ((await answer.json()) as { issue: { details: { coding: { code: string }[] } }[] }).issue[0]?.details
      .coding[0]?.code;

  it.each([
    ['of another site', { origin: 'https://evil.example', 'x-prelim-csrf': '1' }],
    [
      'of a site whose name begins like ours',
      { origin: 'https://prelim.example.evil.example', 'x-prelim-csrf': '1' },
    ],
    ['of another port of ours', { origin: 'https://prelim.example:8443', 'x-prelim-csrf': '1' }],
    ['of nobody', { 'x-prelim-csrf': '1' }],
    ['of a page that hides where it is from', { origin: 'null', 'x-prelim-csrf': '1' }],
    ['of our page, without the header that a form cannot send', { origin: 'https://prelim.example' }],
    [
      'of another site, as a form',
      { origin: 'https://evil.example', 'content-type': 'application/x-www-form-urlencoded' },
    ],
    ['of another site, as plain text', { origin: 'https://evil.example', 'content-type': 'text/plain' }],
  ] as const)('is 403 when it is %s', async (_who, headers) => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const answer = await send(
        headers as Record<string, string>,
        method,
        method === 'POST' ? '/fhir/Patient' : '/fhir/Patient/p',
      );
      expect(answer.status).toBe(403);
      expect(await code(answer)).toBe('auth.csrf');
    }
  });

  it('goes on to the token check when our page sent it, under the configured address or the one asked', async () => {
    for (const origin of ['https://prelim.example', server.url]) {
      const answer = await send({ origin, 'x-prelim-csrf': '1' });
      expect(answer.status).toBe(401);
    }
  });

  it('is not asked for where a token stands in the header, nor for what changes nothing', async () => {
    const authorization = `Bearer ${server.token}`;
    expect((await send({ authorization, origin: 'https://evil.example' })).status).toBe(201);
    expect((await anonymous('/fhir/metadata', { headers: { cookie } })).status).toBe(200);
  });
});

describe('too many requests', () => {
  const expectRefused = async (answer: Response) => {
    expect(answer.status).toBe(429);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    const outcome = (await answer.json()) as { resourceType: string; issue: { code: string }[] };
    expect([outcome.resourceType, outcome.issue[0]?.code]).toEqual(['OperationOutcome', 'throttled']);
  };
  const many = (count: number, ask: () => Promise<Response>) =>
    Promise.all(Array.from({ length: count }, ask));

  it('of one address without a token are 429 with Retry-After; another address is served', async () => {
    const address = from();
    const answers = await many(200, () => anonymous('/fhir/metadata', {}, address));
    const refused = answers.filter(({ status }) => status === 429);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(80);
    expect(refused.length).toBeGreaterThan(50);
    await expectRefused(refused[0] as Response);
    expect((await anonymous('/fhir/metadata')).status).toBe(200);
    const wait = Number(refused[0]?.headers.get('retry-after'));
    await new Promise((resolve) => setTimeout(resolve, wait * 1_000));
    expect((await anonymous('/fhir/metadata', {}, address)).status).toBe(200);
  });

  it.each(['Bearer x.y.z', 'Bearer', 'Basic bG9jYWw6eA=='])(
    'with "Authorization: %s", which is no token, count as without one; a good token from there is served on',
    async (authorization) => {
      const address = from();
      const answers = await many(150, () =>
        anonymous('/fhir/Patient', { headers: { authorization } }, address),
      );
      const refused = answers.filter(({ status }) => status === 429);
      expect(answers.filter(({ status }) => status === 401).length).toBeGreaterThanOrEqual(80);
      expect(refused.length).toBeGreaterThan(20);
      await expectRefused(refused[0] as Response);
      const good = { headers: { authorization: `Bearer ${server.token}` } };
      expect((await anonymous('/fhir/Patient/p', good, address)).status).toBe(200);
    },
  );

  it('for tokens are limited more strictly, whatever they are called with', async () => {
    const address = from();
    const guess = () =>
      anonymous(
        '/auth/token',
        {
          method: 'POST',
          body: 'grant_type=client_credentials&client_id=local&client_secret=guess',
          headers: {
            'content-type': 'application/x-www-form-urlencoded',
            authorization: 'Basic bG9jYWw6Z3Vlc3M=',
          },
        },
        address,
      );
    const answers = await many(60, guess);
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThanOrEqual(25);
    expect(answers.filter(({ status }) => status >= 500)).toEqual([]);
    await expectRefused(refused[0] as Response);
  });

  it('at the same time of one client are 429, and none is left counted when callers go away', async () => {
    const authorization = `Bearer ${server.token}`;
    const answers = await many(60, () =>
      anonymous('/fhir/Patient?_total=accurate', { headers: { authorization } }),
    );
    expect(answers.some(({ status }) => status === 429)).toBe(true);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(8);
    for (let round = 0; round < 20; round += 1) {
      const gone = new AbortController();
      const asked = anonymous('/fhir/Patient?name=x', { headers: { authorization }, signal: gone.signal });
      gone.abort();
      await asked.catch(() => undefined);
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    const after = await many(8, () => anonymous('/fhir/Patient/p', { headers: { authorization } }));
    expect(after.map(({ status }) => status)).toEqual(after.map(() => 200));
  });
});
