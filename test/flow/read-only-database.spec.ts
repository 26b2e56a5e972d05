import pg from 'pg';
import { expect, it } from 'vitest';
import { freshDatabaseUrl } from '../database.ts';
import { PrelimServer } from '../peers/prelim-server.ts';

it('says that its database takes no writes, and goes on by itself when one does', async () => {
  const database = (await freshDatabaseUrl()).replace('@/', '@localhost/');
  const name = new URL(database).pathname.slice(1);
  const byHand = async (...texts: string[]) => {
    const client = new pg.Client({ connectionString: database });
    await client.connect();
    for (const text of texts) await client.query(text);
    await client.end();
  };
  const server = await PrelimServer.start({ DATABASE_URL: database });
  const create = () => server.ask('POST', '/fhir/Patient', { resourceType: 'Patient' });
  try {
    expect((await create()).status).toBe(201);
    // What a switch-over leaves behind: connections that lead to a database which has become a standby.
    await byHand(
      `ALTER DATABASE ${name} SET default_transaction_read_only = on`,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}' AND pid <> pg_backend_pid()`,
    );
    await expect
      .poll(async () => (await create()).body.issue?.[0]?.details?.text, { timeout: 20_000 })
      .toContain(
        'The database takes no writes: it is read only, or another one has taken its place. Nothing was stored.',
      );
    const refused = await create();
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5']);
    const ready = await server.ask('GET', '/health/ready');
    expect(ready.status).toBe(503);
    expect(ready.body.checks[0]).toEqual({
      name: 'database',
      ok: false,
      detail: expect.stringContaining('takes no writes'),
    });
    await byHand(
      'SET default_transaction_read_only = off',
      `ALTER DATABASE ${name} RESET default_transaction_read_only`,
    );
    await expect.poll(async () => (await create()).status, { timeout: 20_000 }).toBe(201);
    const jobs = await server.ask('GET', '/jobs/dead');
    expect(jobs.body.jobs).toEqual([]);
  } finally {
    await server.close();
  }
}, 90_000);
