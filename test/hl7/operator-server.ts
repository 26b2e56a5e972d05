import { randomUUID } from 'node:crypto';
import { Global, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { readRoles } from '../../src/access/access-of-grant.ts';
import { AccessTokens, ISSUER } from '../../src/access/access-tokens.ts';
import { requireToken } from '../../src/access/require-token.ts';
import { parseScopes } from '../../src/access/scope.ts';
import { signingKeyIn } from '../../src/access/signing-key.ts';
import { SETTINGS } from '../../src/config/settings.token.ts';
import { readSettings } from '../../src/config/settings.ts';
import { Database } from '../../src/database/database.ts';
import { OutcomeFilter } from '../../src/fhir/outcome.filter.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { LOGGER, makeLogger } from '../../src/kernel/log.ts';
import { MessageLogModule, OPERATOR_PAGE_FOLDER } from '../../src/steps/message-log/message-log.module.ts';
import { RisModule } from '../../src/steps/ris/ris.module.ts';

export const OPERATOR_SCOPE = 'system/Task.ru';
export const PRIVILEGED_SCOPE = `${OPERATOR_SCOPE} system/Patient.r`;

export interface OperatorServer {
  readonly app: NestFastifyApplication;
  readonly url: string;
  /** What was logged, as lines of JSON. */
  readonly lines: string[];
  token(scope?: string): Promise<string>;
  get(
    path: string,
    scope?: string,
  ): Promise<{ status: number; body: unknown; text: string; headers: Headers }>;
  post(path: string, body: unknown, scope?: string): Promise<{ status: number; body: unknown; text: string }>;
  stop(): Promise<void>;
}

export interface OperatorServerOptions {
  /** Folder of the signing key. */
  readonly keys: string;
  /** Folder of the built page. */
  readonly page: string;
  readonly settings?: Readonly<Record<string, string>>;
}

/** The message log with the step that sends beside it, on real PostgreSQL, with real tokens. No job runs: what waits goes on waiting. */
export async function startOperator(
  database: Database,
  options: OperatorServerOptions,
): Promise<OperatorServer> {
  const lines: string[] = [];
  const log = makeLogger('info', { write: (line) => void lines.push(line) });
  const globals = [
    { provide: SETTINGS, useValue: readSettings({ PRELIM_DATA: options.keys, ...options.settings }) },
    { provide: Database, useValue: database },
    { provide: LOGGER, useValue: log },
  ];
  @Global()
  @Module({ providers: globals, exports: globals })
  class Globals {}

  const page = { provide: OPERATOR_PAGE_FOLDER, useValue: options.page };
  @Module({ imports: [Globals, RisModule, { module: MessageLogModule, providers: [page] }] })
  class OperatorOnly {}

  const adapter = new FastifyAdapter({ forceCloseConnections: true, routerOptions: { maxParamLength: 256 } });
  const app = await NestFactory.create<NestFastifyApplication>(OperatorOnly, adapter, { logger: false });
  app.useGlobalFilters(new OutcomeFilter({ error: () => undefined }));
  const tokens = new AccessTokens(await signingKeyIn(options.keys), ISSUER, systemClock);
  requireToken(app.getHttpAdapter().getInstance() as unknown as FastifyInstance, tokens, readRoles());
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  const token = (scope = OPERATOR_SCOPE) => tokens.issue('operator-1', parseScopes(scope), 3_600);
  const ask = async (method: string, path: string, body: unknown, scope?: string) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${await token(scope)}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, text, body: asJson(text), headers: response.headers };
  };
  return {
    app,
    url,
    lines,
    token,
    get: (path, scope) => ask('GET', path, undefined, scope),
    post: (path, body, scope) => ask('POST', path, body, scope),
    stop: () => app.close(),
  };
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export const ORDER = [
  'MSH|^~\\&|HIS|HOSPITAL|PRELIM|RADIOLOGY|20260301080000||OMI^O23^OMI_O23|CTRL1|P|2.5.1||||||UNICODE UTF-8',
  'PID|1||4711^^^HOSPITAL^MR||Zwiebelkuchen^Adelgunde||19600517|F|||Secret Street 1^^Graz',
  'PV1|1|O|RAD|||||||||||||||V1',
  'ORC|NW|P1^OE|F1^RIS',
  'OBR|1|P1^OE|F1^RIS|24627-2^CT Chest^LN|||||||||worried about her lung|||||ACC1',
  'NTE|1||Adelgunde coughs',
  'ZZZ|something nobody knows^Zwiebelkuchen',
  '',
].join('\r');

/** A message in the log, as the inlet would have stored it. */
export async function logInbound(
  database: Database,
  one: {
    raw?: string;
    controlId: string;
    type?: string;
    filing?: string | null;
    outcome?: string;
    mrn?: string;
    accession?: string;
    minutesAgo?: number;
    sender?: string;
  },
): Promise<string> {
  const raw = (one.raw ?? ORDER).replace('CTRL1', one.controlId);
  const [row] = await database.run<{ id: string }>(
    {
      text: `INSERT INTO hl7_inbound (sending_application, sending_facility, control_id, content_sha256, raw, ack, outcome, message_type, mrn,
          accession, filing_outcome, received_at, peer)
        VALUES ($1, 'HOSPITAL', $2, sha256($3::bytea), $3, $4, $5, $6, $7, $8, $9, now() - make_interval(mins => $10), '10.0.0.7') RETURNING id::text`,
    },
    [
      one.sender ?? 'HIS',
      one.controlId,
      Buffer.from(raw),
      Buffer.from(
        `MSH|^~\\&|PRELIM|RADIOLOGY|HIS|HOSPITAL|20260301080001||ACK^O23^ACK|A1|P|2.5.1\rMSA|AA|${one.controlId}\r`,
      ),
      one.outcome ?? 'accept',
      one.type ?? 'OMI^O23',
      one.mrn ?? '4711',
      one.accession ?? 'ACC1',
      one.filing === undefined ? 'filed' : one.filing,
      one.minutesAgo ?? 0,
    ],
  );
  return row?.id ?? '';
}

export const RESULT = [
  'MSH|^~\\&|PRELIM|RADIOLOGY|RIS|HOSPITAL|20260301081000||ORU^R01^ORU_R01|P1|P|2.5.1||||||UNICODE UTF-8',
  'PID|1||4711^^^HOSPITAL^MR||Zwiebelkuchen^Adelgunde||19600517|F',
  'OBR|1|P1^OE|AI1^PRELIM|24627-2^CT Chest^LN||||||||||||||ACC1||||20260301081000||CT|P',
  'OBX|1|TX|59776-5^Findings^LN||Adelgunde has a nodule||||||P',
  '',
].join('\r');

/** A result in the log, as the step that sends would have stored it, with its tries. */
export async function logOutbound(
  database: Database,
  one: {
    destination?: string;
    lane?: string;
    state?: string;
    error?: string | null;
    attempts?: number;
    minutesAgo?: number;
    report?: string;
    version?: number;
    raw?: string;
    accession?: string;
  },
): Promise<{ id: string; controlId: string }> {
  const id = randomUUID();
  const controlId = `P${id.slice(0, 8)}`;
  const destination = one.destination ?? 'ris.example:2576';
  await database.run(
    {
      text: `INSERT INTO hl7_outbound (id, destination, lane, control_id, raw, state, report_id, report_version, message_time, created_at, attempts,
          last_error, mrn, accession, acked_at, result_status)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now(), now() - make_interval(mins => $9), $10, $11, '4711', $12,
          CASE WHEN $6 = 'acknowledged' THEN now() END, 'P')`,
    },
    [
      id,
      destination,
      one.lane ?? `ris:${destination}:patient-1`,
      controlId,
      Buffer.from((one.raw ?? RESULT).replace('|P1|P|', `|${controlId}|P|`)),
      one.state ?? 'waiting',
      one.report ?? `report-${id}`,
      one.version ?? 1,
      one.minutesAgo ?? 0,
      one.attempts ?? 0,
      one.error ?? null,
      one.accession ?? 'ACC1',
    ],
  );
  for (let n = 1; n <= (one.attempts ?? 0); n += 1) {
    await database.run(
      {
        text: `INSERT INTO hl7_attempt (message_id, destination, attempt, started_at, ended_at, outcome, error, ack)
          VALUES ($1, $2, $3, now() - interval '1 second', now(), $4, $5, $6)`,
      },
      [
        id,
        destination,
        n,
        one.error === null || one.error === undefined ? 'acknowledged' : 'failed',
        one.error ?? null,
        Buffer.from(
          `MSH|^~\\&|RIS|HOSPITAL|PRELIM|RADIOLOGY|20260301081001||ACK^R01^ACK|R1|P|2.5.1\rMSA|AE|${controlId}|patient Zwiebelkuchen unknown\r`,
        ),
      ],
    );
  }
  return { id, controlId };
}
