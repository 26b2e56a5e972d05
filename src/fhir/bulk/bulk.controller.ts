import { randomUUID } from 'node:crypto';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { Controller, Delete, Get, Inject, Param, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import { accessOfGrant, type GrantedScope } from '../access-context.ts';
import { type Caller, preferLenient } from '../fhir-request.ts';
import { withKnownParameters } from '../interactions/known-parameters.ts';
import type { Operation, OperationAnswer } from '../operation-registry.ts';
import { parseResource } from '../validate/parse-resource.ts';
import type { BulkJob } from './bulk-job.ts';
import { endJob } from './end-job.ts';
import { manifest, progressText } from './manifest.ts';
import { receiveUpload } from './receive-upload.ts';
import { bulkOperations, type StartParts, startJob, statusUrl } from './start-job.ts';

/** Injection token of what bulk jobs work with. */
export const BULK_PARTS = Symbol('BulkParts');

/** A client that asks more often learns nothing new. */
const RETRY_AFTER_S = 2;

/** What the token check leaves on a request. */
interface Vouched {
  readonly grant?: Caller;
}

/**
 * What of bulk jobs is no FHIR JSON: the upload of `$import`, the status of a job, its files. A job is its client's alone: for every other token it is
 * not there, and neither for one of the same client with fewer scopes.
 */
@Controller('fhir')
export class BulkController {
  constructor(@Inject(BULK_PARTS) private readonly parts: StartParts & { readonly uploadBytesMax: number }) {}

  /** NDJSON as the body; or FHIR JSON, a Parameters that names files of the import folder. */
  @Post('$import')
  async import(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const caller = callerOf(request);
    const { body } = request;
    send(
      reply,
      body instanceof Readable
        ? await this.upload(body, caller, request)
        : await this.ofFolder(request, caller),
    );
  }

  @Get('_bulk/:id')
  async status(
    @Param('id') id: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const job = await this.ownJob(id, callerOf(request));
    if (job.state === 'accepted' || job.state === 'running') {
      reply.status(202).header('x-progress', progressText(job)).header('retry-after', RETRY_AFTER_S).send();
      return;
    }
    if (job.state === 'failed') {
      reply
        .status(500)
        .header('content-type', 'application/fhir+json; charset=utf-8')
        .send(JSON.stringify(faultOf(job)));
      return;
    }
    const files = await this.parts.jobs.files(id);
    reply
      .status(200)
      .header('content-type', 'application/json; charset=utf-8')
      .header('expires', (job.expiresAt ?? new Date()).toUTCString())
      .send(JSON.stringify(manifest(job, files, statusUrl(this.parts.store.base, id))));
  }

  /** Cancels a job that runs; of one that has ended it removes the files. */
  @Delete('_bulk/:id')
  async cancel(
    @Param('id') id: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.ownJob(id, callerOf(request));
    const { database, jobs, folder } = this.parts;
    await database.transaction(async (tx) => {
      await endJob(this.parts, tx, id, 'cancelled', null);
      const job = await jobs.find(id, tx);
      if (job && job.state !== 'cancelled') await jobs.remove(tx, id);
    });
    await folder.remove(id);
    reply.status(202).send();
  }

  @Get('_bulk/:id/:file')
  async file(
    @Param('id') id: string,
    @Param('file') name: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.ownJob(id, callerOf(request));
    const number = /^([1-9]\d{0,8})\.ndjson$/.exec(name)?.[1];
    const file = (await this.parts.jobs.files(id)).find((one) => String(one.number) === number);
    if (!file || file.bytes === 0) throw notThere();
    // After a restore the row may know a file that is not there.
    const handle = await open(this.parts.folder.pathOf(id, file.number), 'r').catch(() => null);
    if (!handle) throw notThere();
    reply
      .status(200)
      .header('content-type', 'application/fhir+ndjson')
      .header('content-length', file.bytes)
      .header('x-content-type-options', 'nosniff')
      .send(handle.createReadStream({ end: file.bytes - 1 }));
  }

  private async upload(body: Readable, caller: Caller, request: FastifyRequest): Promise<OperationAnswer> {
    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity')
      throw new Failure('fhir.media-type', 'Send the body without Content-Encoding.');
    const { parts } = this;
    const id = randomUUID();
    const bytes = await receiveUpload(body, id, parts.folder, parts.uploadBytesMax);
    const asked = {
      source: 'upload',
      files: [{ name: 'upload', type: null, bytes }],
      url: `${parts.store.base}/$import`,
    } as const;
    try {
      return await startJob('import', id, caller, asked, parts);
    } catch (error) {
      await parts.folder.remove(id);
      throw error;
    }
  }

  private ofFolder(request: FastifyRequest, caller: Caller): Promise<OperationAnswer> {
    const body = parseResource(Buffer.isBuffer(request.body) ? request.body : undefined);
    const operation = bulkOperations(this.parts).find((one) => one.name === '$import') as Operation;
    const headers = request.headers as Record<string, string | undefined>;
    const access = accessOfGrant(caller);
    const query = new URLSearchParams(request.url.replace(/^[^?]*\??/, ''));
    const asked = { id: null, type: null, query, body, headers, access, caller };
    return operation.run(withKnownParameters(operation, asked, preferLenient({ headers })).request);
  }

  /** Throws `fhir.not-found` for what is not the caller's. */
  private async ownJob(id: string, caller: Caller): Promise<BulkJob> {
    const job = UUID.test(id) ? await this.parts.jobs.find(id) : null;
    if (!job || job.state === 'cancelled' || !isSame(job.caller, caller)) throw notThere();
    const has = new Set(caller.scopes.map(scopeKey));
    if (!job.caller.scopes.every((scope) => has.has(scopeKey(scope)))) throw notThere();
    return job;
  }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const notThere = (): Failure => new Failure('fhir.not-found', 'There is no such job.');

/** The same client, person, patient and purpose (what was exported under break-glass holds what the same person sees in no other way), with the roles that the job was given. A job of before these were kept has only its client. */
const isSame = (job: Caller, caller: Caller): boolean =>
  job.clientId === caller.clientId &&
  (job.subject === undefined || job.subject === caller.subject) &&
  job.patient === caller.patient &&
  job.purposeOfUse === caller.purposeOfUse &&
  (job.roles ?? []).every((role) => caller.roles?.includes(role));

/** Everything a scope says, whatever it grows to say. */
const scopeKey = (scope: GrantedScope): string =>
  JSON.stringify(Object.entries({ ...scope, permissions: [...scope.permissions].sort().join('') }).sort());

function callerOf(request: FastifyRequest): Caller {
  const { grant } = request as unknown as Vouched;
  if (!grant) throw new Failure('auth.missing', 'Send a bearer token.');
  return grant;
}

function send(reply: FastifyReply, answer: OperationAnswer): void {
  reply
    .status(answer.status)
    .headers(answer.headers ?? {})
    .send();
}

/** The reason is a failure's own text or the class of an error: neither holds patient data. */
const faultOf = (job: BulkJob): object => ({
  resourceType: 'OperationOutcome',
  issue: [
    {
      severity: 'fatal',
      code: 'exception',
      details: {
        coding: [{ system: CODE_SYSTEMS.failure, code: 'internal' }],
        text: job.fault ?? 'The job was given up.',
      },
    },
  ],
});
