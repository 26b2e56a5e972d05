import { Controller, Get, Inject, Param, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type {} from '../../access/require-token.ts';
import { type AccessContext, accessOfGrant } from '../../fhir/access-context.ts';
import { pageHeaders } from '../../http/page-headers.ts';
import { Failure } from '../../kernel/errors.ts';
import { streamEvents } from './stream-events.ts';
import { WorklistFeed } from './worklist.feed.ts';
import { WorklistStore } from './worklist.store.ts';
import { WorklistNotices } from './worklist-notices.ts';

/**
 * What the clinician's page reads. All of it needs a token with `system` rights on what a row is made of, and none of it is
 * kept in a cache: it is patient data.
 */
@Controller('worklist/api')
export class WorklistController {
  constructor(
    @Inject(WorklistStore) private readonly store: WorklistStore,
    @Inject(WorklistFeed) private readonly feed: WorklistFeed,
    @Inject(WorklistNotices) private readonly notices: WorklistNotices,
  ) {}

  /** `{rows, more, at}`: the newest analyses; `at` is the time of the server. */
  @Get('rows')
  async rows(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    reply.headers(API_HEADERS);
    const at = new Date().toISOString();
    const { rows, more } = await this.store.rows(accessOf(request));
    this.feed.remember(rows);
    return { rows, more, at };
  }

  @Get('rows/:id')
  async row(
    @Param('id') id: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    reply.headers(API_HEADERS);
    const [row] = await this.store.rowsOf(accessOf(request), [id]);
    if (!row) throw new Failure('http.not-found', 'There is no such analysis on the worklist.');
    return row;
  }

  /** PNG of the key picture of one analysis. */
  @Get('pictures/:id')
  async picture(
    @Param('id') id: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const bytes = await this.store.picture(accessOf(request), id);
    if (bytes === null) throw new Failure('http.not-found', 'There is no key picture of this analysis.');
    reply.headers(API_HEADERS).header('content-security-policy', 'sandbox').type('image/png').send(bytes);
  }

  /** `text/event-stream` (WHATWG HTML 9.2): `row` with a changed row, `gone` with `{id}`, `beat` with `{at}`. */
  @Get('events')
  async events(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const access = accessOf(request);
    this.store.demand(access);
    await this.notices.start();
    streamEvents(reply, API_HEADERS, (stream) =>
      this.feed.listen({
        access,
        send: (event) =>
          event.kind === 'row' ? stream.send('row', event.row) : stream.send('gone', { id: event.id }),
        end: stream.end,
      }),
    );
  }
}

const API_HEADERS = { ...pageHeaders(), 'cache-control': 'no-store' };

function accessOf(request: FastifyRequest): AccessContext {
  if (!request.grant) throw new Failure('auth.missing', 'Send an access token: "Authorization: Bearer …".');
  return accessOfGrant(request.grant);
}
