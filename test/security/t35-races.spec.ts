import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabaseUrl } from '../database.ts';
import { PrelimServer } from '../peers/prelim-server.ts';

const AT_ONCE = 50;

describe('T35 fifty at once, at two servers over one database', () => {
  let url: string;
  let servers: PrelimServer[];
  beforeAll(async () => {
    url = (await freshDatabaseUrl()).replace('@/', '@localhost/');
    servers = [await PrelimServer.start({ DATABASE_URL: url, PRELIM_ROLES: 'api' })];
    servers.push(await PrelimServer.start({ DATABASE_URL: url, PRELIM_ROLES: 'api' }));
  });
  afterAll(async () => {
    for (const server of servers ?? []) await server.close();
  });

  const all = <T>(ask: (server: PrelimServer, n: number) => Promise<T>) =>
    Promise.all(
      Array.from({ length: AT_ONCE }, (_, n) => ask(servers[n % servers.length] as PrelimServer, n)),
    );
  const patient = (n: number) => ({
    resourceType: 'Patient',
    identifier: [{ system: 'urn:mrn', value: 'T35' }],
    name: [{ family: `F${n}` }],
  });

  it('T35 conditional creates with one identifier make one resource', async () => {
    const answers = await all((server, n) =>
      server.ask('POST', '/fhir/Patient', patient(n), { 'if-none-exist': 'identifier=urn:mrn|T35' }),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(AT_ONCE - 1);
    expect(await stored('identifier=urn:mrn|T35')).toBe(1);
  });

  it('T35 conditional updates with one identifier make one resource too', async () => {
    const answers = await all((server, n) =>
      server.ask('PUT', '/fhir/Patient?identifier=urn:mrn|T35b', {
        ...patient(n),
        identifier: [{ system: 'urn:mrn', value: 'T35b' }],
      }),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => ![200, 201, 409, 412].includes(status))).toEqual([]);
    expect(await stored('identifier=urn:mrn|T35b')).toBe(1);
  });

  it('T35 of the updates with one If-Match one succeeds, and 49 are 412', async () => {
    const [server] = servers as [PrelimServer];
    const put = { resourceType: 'Patient', id: 't35', active: true };
    expect((await server.ask('PUT', '/fhir/Patient/t35', put)).status).toBe(201);
    const answers = await all((one, n) =>
      one.ask('PUT', '/fhir/Patient/t35', { ...put, name: [{ family: `F${n}` }] }, { 'if-match': 'W/"1"' }),
    );
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(statuses.filter((status) => status === 412)).toHaveLength(AT_ONCE - 1);
    // What stands there is what the one wrote, as version 2 and no other.
    const winner = statuses.indexOf(200);
    const now = await server.ask('GET', '/fhir/Patient/t35');
    expect([now.body.meta.versionId, now.body.name[0].family]).toEqual(['2', `F${winner}`]);
    expect((await server.ask('GET', '/fhir/Patient/t35/_history')).body.entry).toHaveLength(2);
  });

  it('T35 and the database holds each number of a version once', async () => {
    const sql = new pg.Client({ connectionString: url });
    await sql.connect();
    try {
      const { rows } = await sql.query(
        `SELECT id, version, count(*) FROM (SELECT id, version FROM resource UNION ALL SELECT id, version FROM resource_version) AS v
        GROUP BY id, version HAVING count(*) > 1`,
      );
      expect(rows).toEqual([]);
    } finally {
      await sql.end();
    }
  });

  async function stored(query: string): Promise<number> {
    const [server] = servers as [PrelimServer];
    return (await server.ask('GET', `/fhir/Patient?${query}&_total=accurate`)).body.total;
  }
});
