import { randomUUID } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Bundle, Resource } from '@medplum/fhirtypes';
import pg from 'pg';

/**
 * The HTTP floor: what one Node process can do over the same PostgreSQL when it checks nothing. Bare `node:http`, a current row and a history
 * row per write in one statement, only the indexes that the workloads need, prepared statements. No token, no validation, no search
 * but the three that are asked, no references resolved but by text. Rows in the schema `floor`.
 */
const TABLES = ['observation', 'report', 'other'] as const;
type Table = (typeof TABLES)[number];
const tableOf = (type: string | undefined): Table =>
  type === 'Observation' ? 'observation' : type === 'DiagnosticReport' ? 'report' : 'other';

const pool = new pg.Pool({ ...(JSON.parse(process.argv[2] ?? '{}') as pg.PoolConfig), max: 16 });
pg.types.setTypeParser(3802, (text) => text); // jsonb is passed on as text

const COLUMNS = 'id, version, updated, patient, status, date, tokens, content';
const statements = (table: Table) => ({
  create: {
    name: `create-${table}`,
    text: `WITH w AS (INSERT INTO floor.${table} (${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id, version, updated, content)
      INSERT INTO floor.${table}_history SELECT * FROM w`,
  },
  update: {
    name: `update-${table}`,
    text: `WITH w AS (UPDATE floor.${table} SET version = $2, updated = $3, patient = $4, status = $5, date = $6, tokens = $7, content = $8
        WHERE id = $1 RETURNING id, version, updated, content)
      INSERT INTO floor.${table}_history SELECT * FROM w`,
  },
  many: {
    name: `many-${table}`,
    text: `WITH v AS (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::uuid[], $5::text[], $6::timestamptz[], $7::text[], $8::jsonb[]) AS v(${COLUMNS})),
        w AS (INSERT INTO floor.${table} (${COLUMNS}) SELECT id, version, updated, patient, status, date, tokens::text[], content FROM v)
      INSERT INTO floor.${table}_history SELECT id, version, updated, content FROM v`,
  },
  read: { name: `read-${table}`, text: `SELECT content FROM floor.${table} WHERE id = $1` },
  identifier: {
    name: `identifier-${table}`,
    text: `SELECT content FROM floor.${table} WHERE tokens @> $1 LIMIT 2`,
  },
});
const SQL = Object.fromEntries(TABLES.map((table) => [table, statements(table)])) as Record<
  Table,
  ReturnType<typeof statements>
>;
const BY_CODE = {
  name: 'by-code',
  text: 'SELECT id, content FROM floor.observation WHERE patient = $1 AND tokens @> $2 LIMIT 51',
};
const BY_DATE = {
  name: 'by-date',
  text: 'SELECT id, content FROM floor.report WHERE status = $1 ORDER BY date DESC LIMIT 21',
};

await pool.query('DROP SCHEMA IF EXISTS floor CASCADE; CREATE SCHEMA floor');
for (const table of TABLES) {
  await pool.query(`
    CREATE TABLE floor.${table} (id uuid PRIMARY KEY, version uuid NOT NULL, updated timestamptz NOT NULL, patient uuid, status text,
      date timestamptz, tokens text[] NOT NULL, content jsonb NOT NULL);
    CREATE INDEX ON floor.${table} (patient);
    CREATE INDEX ON floor.${table} USING gin (tokens);
    CREATE INDEX ON floor.${table} (status, date DESC);
    CREATE TABLE floor.${table}_history (id uuid, version uuid, updated timestamptz NOT NULL, content jsonb NOT NULL, PRIMARY KEY (id, version));`);
}

interface Row {
  readonly table: Table;
  readonly text: string;
  readonly columns: readonly [
    string,
    string,
    string,
    string | null,
    string | null,
    string | null,
    string[],
    string,
  ];
}

type Searched = Resource & {
  code?: { coding?: { system?: string; code?: string }[] };
  identifier?: { value?: string }[];
  subject?: { reference?: string };
  status?: string;
  effectiveDateTime?: string;
};

function rowOf(sent: Resource, id: string): Row {
  const version = randomUUID();
  const now = new Date().toISOString();
  const resource = { ...sent, id, meta: { versionId: version, lastUpdated: now } } as Searched;
  const text = JSON.stringify(resource);
  const tokens = [
    ...(resource.code?.coding ?? []).flatMap(({ system, code }) => [`${system}|${code}`, `|${code}`]),
    ...(Array.isArray(resource.identifier) ? resource.identifier : []).map(({ value }) => `id:${value}`),
  ];
  const patient = /^Patient\/([0-9a-f-]{36})$/.exec(resource.subject?.reference ?? '')?.[1] ?? null;
  return {
    table: tableOf(resource.resourceType),
    text,
    columns: [
      id,
      version,
      now,
      patient,
      resource.status ?? null,
      resource.effectiveDateTime ?? null,
      tokens,
      text,
    ],
  };
}

async function createOne(sent: Resource): Promise<Row> {
  const row = rowOf(sent, randomUUID());
  await pool.query({ ...SQL[row.table].create, values: [...row.columns] });
  return row;
}

async function transaction(bundle: Bundle): Promise<string> {
  const entries = bundle.entry ?? [];
  const ids = new Map(entries.map((entry) => [entry.fullUrl, randomUUID()]));
  const types = new Map(entries.map((entry) => [entry.fullUrl, entry.resource?.resourceType]));
  const text = JSON.stringify(entries.map((entry) => entry.resource)).replace(
    /urn:uuid:[0-9a-f-]{36}/g,
    (urn) => `${types.get(urn)}/${ids.get(urn)}`,
  );
  const rows = (JSON.parse(text) as Resource[]).map((resource, at) =>
    rowOf(resource, ids.get(entries[at]?.fullUrl) as string),
  );
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    for (const [table, those] of Map.groupBy(rows, (row) => row.table)) {
      const column = (at: number) =>
        those.map(({ columns }) =>
          at === 6 ? `{${columns[6].map((one) => JSON.stringify(one)).join(',')}}` : columns[at],
        );
      await client.query({ ...SQL[table].many, values: [0, 1, 2, 3, 4, 5, 6, 7].map(column) });
    }
    await client.query('COMMIT');
  } finally {
    client.release();
  }
  const answers = rows.map((row) => `{"resource":${row.text},"response":{"status":"201"}}`);
  return `{"resourceType":"Bundle","type":"transaction-response","entry":[${answers.join(',')}]}`;
}

async function search(type: string | undefined, query: URLSearchParams): Promise<string> {
  const { rows } = query.has('_sort')
    ? await pool.query({ ...BY_DATE, values: [query.get('status')] })
    : await pool.query({ ...BY_CODE, values: [(query.get('patient') ?? '').slice(8), [query.get('code')]] });
  const entries = rows
    .slice(0, query.has('_sort') ? 20 : 50)
    .map((row) => `{"fullUrl":"${type}/${row.id}","resource":${row.content},"search":{"mode":"match"}}`);
  return `{"resourceType":"Bundle","type":"searchset","entry":[${entries.join(',')}]}`;
}

async function answer(
  method: string,
  target: string,
  body: Buffer,
  ifNoneExist?: string,
): Promise<[number, string]> {
  const url = new URL(target, 'http://floor');
  const [, type, id] = url.pathname.split('/');
  if (method === 'GET' && !id) return [200, await search(type, url.searchParams)];
  if (method === 'GET') {
    const { rows } = await pool.query({ ...SQL[tableOf(type)].read, values: [id] });
    return rows[0] ? [200, rows[0].content] : [404, '{}'];
  }
  const sent = JSON.parse(body.toString('utf8')) as Resource;
  if (!type) return [200, await transaction(sent as Bundle)];
  if (method === 'PUT') {
    const row = rowOf(sent, id as string);
    await pool.query({ ...SQL[row.table].update, values: [...row.columns] });
    return [200, row.text];
  }
  if (ifNoneExist) {
    const token = `id:${new URLSearchParams(ifNoneExist).get('identifier')?.split('|')[1]}`;
    const { rows } = await pool.query({ ...SQL[tableOf(type)].identifier, values: [[token]] });
    if (rows[0]) return [200, rows[0].content];
  }
  return [201, (await createOne(sent)).text];
}

function send(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'content-type': 'application/fhir+json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const asked = request.headers['if-none-exist'];
    answer(
      request.method ?? '',
      request.url ?? '',
      Buffer.concat(chunks),
      typeof asked === 'string' ? asked : undefined,
    ).then(
      ([status, text]) => send(response, status, text),
      (error: unknown) => send(response, 500, JSON.stringify({ error: String(error) })),
    );
  });
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit(0));
