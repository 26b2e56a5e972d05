import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { AuditEntry, AuditOutcome } from '../database/audit-sink.ts';
import type { Database } from '../database/database.ts';
import { type Acting, type Actor, actAs, actingNow } from '../kernel/acting.ts';
import { CODE_SYSTEMS } from '../kernel/code-systems.ts';
import { type Described, describeRequest, isPlainRead } from './audit/describe-request.ts';
import { findPatients } from './audit/find-patients.ts';

/** The patients of studies by their UIDs, for doors that speak DICOM. */
export type PatientsOfStudies = (studies: readonly string[]) => Promise<readonly string[]>;

/** What the token check leaves on a request. */
interface Granted {
  readonly grant?: {
    readonly clientId?: string;
    readonly subject?: string;
    readonly fhirUser?: string;
    readonly roles?: readonly string[];
    readonly purposeOfUse?: string;
    readonly tokenId?: string;
  };
}

interface Audited extends FastifyRequest {
  acting?: Acting;
}

/**
 * Puts the audit around every route: an answer is sent only once it is recorded who got it. Must come before the token check, so that what
 * that refuses is recorded too. Changes are recorded in their own transaction (`AuditChanges`); here come reads, searches, operations, sign-ins,
 * and all that failed.
 */
export function auditRequests(
  fastify: FastifyInstance,
  database: Pick<Database, 'audit'>,
  patientsOf: PatientsOfStudies,
): void {
  fastify.addHook('onRequest', (request: Audited, reply, next) => {
    const { audit } = database;
    // An event stream stays open and hands in nothing more.
    if (audit && !STREAM.test(request.url)) {
      const reads = isPlainRead(request.method, request.url) ? 1 : 0;
      audit.awaited = (audit.awaited ?? 0) + 1;
      audit.awaitedReads = (audit.awaitedReads ?? 0) + reads;
      reply.raw.once('close', () => {
        audit.awaited = (audit.awaited ?? 1) - 1;
        audit.awaitedReads = (audit.awaitedReads ?? reads) - reads;
      });
    }
    request.acting = { actor: () => actorOf(request), written: 0, shown: [], ended: false };
    next();
  });
  // Behind the reading of the body, which loses the context of the hooks before it.
  fastify.addHook('preValidation', (request: Audited, _reply, next) => {
    const go = () => (request.acting ? actAs(request.acting, next) : next());
    // The one answer that never passes `onSend`.
    const described = STREAM.test(request.url) ? describeRequest(request.method, request.url) : null;
    if (!described || !database.audit) return go();
    const entry = { ...described, outcome: 0, status: 200, actor: actorOf(request) } as const;
    database.audit.record(entry).then(go, next);
  });
  fastify.addHook('onSend', (request: Audited, reply, payload, done: Sent) => {
    const { acting } = request;
    let stored: Promise<void> | null;
    try {
      stored = acting && database.audit ? recorded(request, reply, acting, payload) : null;
    } catch (error) {
      return done(error as Error);
    }
    if (!acting || !stored) return done(null, payload);
    const end = (given: unknown) => {
      acting.ended = true;
      done(null, given);
    };
    stored.then(
      () => end(payload),
      // What has failed already shows nothing, and says better what is wrong.
      () => end(reply.statusCode >= 500 ? payload : refuse(reply, payload, request.url)),
    );
  });

  /** Null: nothing of this answer is recorded here. */
  function recorded(
    request: FastifyRequest,
    reply: FastifyReply,
    acting: Acting,
    payload: unknown,
  ): Promise<void> | null {
    const found = entryOf(request, reply, acting, payload);
    const { audit } = database;
    if (!found || !audit) return null;
    const { about, patients, studies } = found;
    const record = () => audit.record({ ...about, patients: [...patients], actor: acting.actor() });
    if (studies.length === 0) return record();
    return patientsOf(studies).then((more) => {
      for (const patient of more) patients.add(patient);
      return record();
    });
  }
}

type Sent = (error: Error | null, payload?: unknown) => void;

const STREAM = /^\/worklist\/api\/events(\?|$)/;

interface Found {
  readonly about: AuditEntry;
  readonly patients: Set<string>;
  readonly studies: readonly string[];
}

function entryOf(
  request: FastifyRequest,
  reply: FastifyReply,
  acting: Acting,
  payload: unknown,
): Found | null {
  const { statusCode: status } = reply;
  // Nobody got anything, and a flood of these must not become a flood of rows.
  if (status === 429) return null;
  const refused = status === 401 || status === 403;
  const described = describeRequest(request.method, request.url) ?? (refused ? ELSEWHERE : null);
  if (!described) return null;
  if (status < 400 && acting.written > 0 && CHANGES.has(described.interaction)) return null;
  const patients = new Set<string>();
  if (status < 400) patientsIn(described, acting, payload, patients);
  const { study, ...what } = described;
  const body = described.interaction.startsWith('search-') ? formOf(request) : undefined;
  return {
    about: {
      ...what,
      ...(body === undefined ? {} : { query: body }),
      outcome: outcomeOf(status),
      status,
    },
    patients,
    studies: status < 400 ? studiesIn(described, study, payload) : [],
  };
}

const ELSEWHERE: Described = { kind: 'rest', interaction: 'unknown', action: 'E' };

/** What these wrote is recorded with their transaction. */
const CHANGES: ReadonlySet<string> = new Set(['create', 'update', 'patch', 'delete', 'stow']);

function patientsIn(described: Described, acting: Acting, payload: unknown, into: Set<string>): void {
  const { entity } = described;
  if (entity?.startsWith('Patient/')) into.add(entity.slice('Patient/'.length));
  if (typeof payload === 'string' && described.kind === 'rest') findPatients(payload, into);
  for (const text of acting.shown) findPatients(text, into);
}

function studiesIn({ kind, interaction }: Described, study: string | undefined, payload: unknown): string[] {
  if (kind !== 'dicomweb') return [];
  if (study !== undefined) return [study];
  if (interaction !== 'qido' || typeof payload !== 'string') return [];
  return [...new Set([...payload.matchAll(STUDY_UID)].map(([, uid]) => uid as string))];
}

/** StudyInstanceUID in DICOM JSON (PS3.18 F.2). */
const STUDY_UID = /"0020000D":\{"vr":"UI","Value":\["([0-9.]{1,64})"/g;

/** R4 search.html: parameters in the body of `POST _search`. */
function formOf({ method, body }: FastifyRequest): string | undefined {
  return method === 'POST' && Buffer.isBuffer(body) ? body.subarray(0, 4_096).toString('utf8') : undefined;
}

function outcomeOf(status: number): AuditOutcome {
  if (status < 400) return 0;
  return status < 500 ? 4 : 8;
}

function actorOf(request: FastifyRequest): Actor {
  const { grant } = request as Granted;
  const common = { address: request.ip, request: request.id };
  if (grant?.clientId === undefined) return { client: claimedClient(request) ?? 'unknown', ...common };
  const person = grant.fhirUser ?? (grant.subject === grant.clientId ? undefined : grant.subject);
  return {
    client: grant.clientId,
    ...common,
    ...(person === undefined ? {} : { person }),
    ...(grant.roles ? { roles: grant.roles } : {}),
    ...(grant.tokenId ? { tokenId: grant.tokenId } : {}),
    ...(grant.purposeOfUse ? { purpose: grant.purposeOfUse } : {}),
  };
}

/** At the door that gives tokens: who they say they are (RFC 6749 2.3.1, RFC 7523 2.2). */
function claimedClient({ url, body, headers }: FastifyRequest): string | null {
  if (!url.startsWith('/auth/')) return null;
  const form = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
  if (typeof form['client_id'] === 'string') return form['client_id'];
  const basic = /^Basic ([A-Za-z0-9+/=]+)$/.exec(headers.authorization ?? '')?.[1];
  if (basic) return Buffer.from(basic, 'base64').toString('utf8').split(':', 1)[0] ?? null;
  const claims =
    typeof form['client_assertion'] === 'string' ? form['client_assertion'].split('.')[1] : undefined;
  try {
    const { sub } = JSON.parse(Buffer.from(claims ?? '', 'base64url').toString('utf8')) as { sub?: unknown };
    return typeof sub === 'string' ? sub : null;
  } catch {
    return null;
  }
}

/** 503 in place of an answer that nobody could be held to account for. */
function refuse(reply: FastifyReply, payload: unknown, url: string): string {
  const stream = payload as { destroy?: () => void } | null;
  if (typeof stream?.destroy === 'function') stream.destroy();
  for (const name of Object.keys(reply.getHeaders())) if (OF_THE_ANSWER.has(name)) reply.removeHeader(name);
  reply
    .code(503)
    .header(
      'content-type',
      url.startsWith('/fhir') ? 'application/fhir+json; charset=utf-8' : 'application/json; charset=utf-8',
    )
    .header('retry-after', RETRY_AFTER_S);
  return JSON.stringify({
    resourceType: 'OperationOutcome',
    issue: [
      {
        severity: 'error',
        code: 'transient',
        details: {
          coding: [{ system: CODE_SYSTEMS.failure, code: 'audit.unavailable' }],
          text: 'The audit cannot be written, so nothing is shown. Try again in a few seconds.',
        },
      },
    ],
  });
}

const RETRY_AFTER_S = 5;
const OF_THE_ANSWER: ReadonlySet<string> = new Set([
  'content-length',
  'content-encoding',
  'content-disposition',
  'content-location',
  'content-security-policy',
  'etag',
  'last-modified',
  'location',
  'set-cookie',
  'x-progress',
]);

/** A change counts for the request that makes it. */
export function noteWritten(by: Acting | undefined): void {
  const acting = by ?? actingNow();
  if (acting) acting.written += 1;
}
