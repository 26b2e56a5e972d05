import { All, Controller, Inject, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Database } from '../database/database.ts';
import { lastKnown } from '../kernel/last-known.ts';
import { accessOfGrant, type Granted, NO_ACCESS } from './access-context.ts';
import type { Caller, FhirAnswer, FhirRequest } from './fhir-request.ts';
import { GroupedWrites } from './interactions/grouped-writes.ts';
import type { FhirServer } from './interactions/interaction.ts';
import { OFFERED, runInteraction } from './interactions/routes.ts';
import { checkMediaTypes, wantsPretty } from './media-types.ts';
import { OperationRegistry } from './operation-registry.ts';
import { prettyJson } from './pretty-json.ts';
import { ResourceStore } from './resource-store.ts';

/** What the token check in front of every route leaves on a request; no more of it is known here. */
interface Vouched {
  readonly grant?: Granted;
}

/** The FHIR door (R4 http.html): HTTP in, an interaction, HTTP out. Which interaction: `interactions/routes.ts`. */
@Controller('fhir')
export class FhirController {
  private readonly server: FhirServer;

  constructor(
    @Inject(ResourceStore) store: ResourceStore,
    @Inject(Database) database: Database,
    @Inject(OperationRegistry) operations: OperationRegistry,
  ) {
    const server: FhirServer = {
      store,
      database,
      writes: new GroupedWrites(database, store),
      operations,
      offered: OFFERED,
      interact: (request) => runInteraction(request, server),
    };
    this.server = server;
  }

  @All(['', '*'])
  async handle(@Req() raw: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const request = requestOf(raw);
    checkMediaTypes(request);
    const answer = await this.server.interact(request);
    send(answer, request, reply);
  }
}

function requestOf(raw: FastifyRequest): FhirRequest {
  const mark = raw.url.indexOf('?');
  const path = mark === -1 ? raw.url : raw.url.slice(0, mark);
  return {
    method: raw.method,
    path: path
      .split('/')
      .slice(2)
      .map(decode)
      .filter((segment, at, all) => segment !== '' || at < all.length - 1),
    query: new URLSearchParams(mark === -1 ? '' : raw.url.slice(mark + 1)),
    headers: raw.headers as FhirRequest['headers'],
    body: Buffer.isBuffer(raw.body) ? raw.body : undefined,
    access: accessOf(raw as Vouched),
    ...callerOf(raw as Vouched),
    sentAlone: true,
  };
}

const accessOf = ({ grant }: Vouched) => (grant ? accessOfGrant(grant) : NO_ACCESS);

const callerOf = ({ grant }: Vouched): { caller?: Caller } =>
  grant?.clientId === undefined ? {} : { caller: grant as Caller };

/** A path that is not well formed names nothing: the raw text fits no route. */
function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return '%';
  }
}

function send(answer: FhirAnswer, request: FhirRequest, reply: FastifyReply): void {
  const modified = answer.headers?.['last-modified'];
  reply.status(answer.status).headers(answer.headers ?? {});
  // RFC 9110 8.8.2: to the second.
  if (modified) reply.header('last-modified', httpDate(modified));
  const { body } = answer;
  if (typeof body === 'string') reply.header('content-type', 'application/fhir+json; charset=utf-8');
  if (body === null || request.method === 'HEAD') reply.send();
  else reply.send(typeof body === 'string' && wantsPretty(request) ? prettyJson(body) : body);
}

const httpDate = lastKnown((instant: string) => new Date(instant).toUTCString());
