import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AccessWorld } from './access-world.ts';

let world: AccessWorld;
beforeAll(async () => {
  world = await AccessWorld.start({ PRELIM_ROLES: 'api' });
}, 60_000);
afterAll(() => world?.close());

describe('an app that somebody with a great role signed in to', () => {
  const DOORS = [
    ['GET', '/auth/accounts', undefined],
    ['PUT', '/auth/accounts/thief', { password: 'correct horse battery staple', roles: ['administrator'] }],
    ['DELETE', '/auth/accounts/nobody', undefined],
    ['POST', '/auth/clients/nobody/secret', {}],
    ['POST', '/auth/keys/rotate', {}],
  ] as const;
  const headers = { 'content-type': 'application/json' };

  it.each([
    'openid',
    'patient/*.cruds',
    'user/*.rs',
    'user/Patient.cruds',
    'user/Basic.cruds?code=x',
    'user/Basic.cr',
  ])('with "%s" of an administrator registers nobody and changes no key', async (scope) => {
    const app = await world.as({ scope, patient: 'a', roles: ['administrator'] });
    for (const [method, path, body] of DOORS)
      expect((await app(method, path, body, headers)).status, `${method} ${path}`).toBe(403);
  });

  it('with "user/Basic.cruds" of an administrator does what administrators do', async () => {
    const app = await world.as({ scope: 'user/Basic.cruds', roles: ['administrator'] });
    const statuses = [];
    for (const [method, path, body] of DOORS) statuses.push((await app(method, path, body, headers)).status);
    expect(statuses).toEqual([200, 204, 404, 404, 201]);
  });

  it.each([
    ['patient/AuditEvent.rs', 403, 403],
    ['user/AuditEvent.rs?type=rest', 403, 403],
    ['user/*.rs', 403, 403],
    ['user/AuditEvent.s', 200, 403],
    ['user/AuditEvent.rs', 200, 404],
  ])(
    'with "%s" of an auditor sees the audit only where that means the whole of it',
    async (scope, search, read) => {
      const app = await world.as({ scope, patient: 'a', roles: ['auditor'] });
      expect((await app('GET', 'AuditEvent?_count=1')).status).toBe(search);
      expect((await app('GET', 'AuditEvent/1-1-1-1000')).status).toBe(read);
    },
  );
});
