import { Readable } from 'node:stream';
import { Controller, Get, Inject, Param, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import { Database } from '../../database/database.ts';
import { type MessageBytes, READ_BYTES } from '../../hl7/message-bytes.ts';
import { readSenderCharsets, type SenderCharsets } from '../../hl7/sender-charsets.ts';
import { Failure } from '../../kernel/errors.ts';
import { ActionStore } from './action.store.ts';
import { AlertWatch } from './alert-watch.ts';
import { LaneStore } from './lane.store.ts';
import { MessageLogStore, unknownMessage, type WholeMessage } from './message-log.store.ts';
import { cursorText, type Direction, readMessageQuery } from './message-query.ts';
import { messageTree, readPlace } from './message-tree.ts';
import { operatorRights, wantsUnmasked } from './operator-rights.ts';
import { readLanes } from './read-lanes.ts';
import { showAction, showMessage, showWhole } from './show-message.ts';

type Given = Readonly<Record<string, unknown>>;

/**
 * What an operator reads: plain JSON. Patient data is masked; `unmask=true` shows it to those who may see it, and is logged before anything is
 * shown. Nothing of it is kept in a cache.
 */
@Controller('hl7')
export class MessageLogController {
  private readonly charsets: SenderCharsets;

  constructor(
    private readonly database: Database,
    private readonly messages: MessageLogStore,
    private readonly actions: ActionStore,
    private readonly lanes: LaneStore,
    private readonly alerts: AlertWatch,
    @Inject(SETTINGS) settings: Pick<Settings, 'HL7_CHARSET'>,
  ) {
    this.charsets = readSenderCharsets(settings.HL7_CHARSET);
  }

  /** `{messages, next}`: newest first; `next` is given back as `after` for the page that follows. */
  @Get('messages')
  async search(
    @Req() request: FastifyRequest,
    @Query() given: Given,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const rights = operatorRights(request);
    const unmask = wantsUnmasked(given['unmask'], rights);
    const query = readMessageQuery(given, ['unmask']);
    const page = await this.messages.page(query);
    if (unmask) {
      const detail = { messages: page.messages.length };
      await this.actions.note(this.database, {
        actor: rights.actor,
        action: 'unmask-list',
        reason: '',
        detail,
      });
    }
    reply.header('cache-control', 'no-store');
    return {
      messages: page.messages.map((one) => showMessage(one, unmask)),
      next: page.next === null ? null : cursorText(page.next),
    };
  }

  /** `tree=none` leaves out the parsed message, for who has it and asks what became of it. */
  @Get('messages/:direction/:id')
  async message(
    @Req() request: FastifyRequest,
    @Param('direction') direction: string,
    @Param('id') id: string,
    @Query() given: Given,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const rights = operatorRights(request);
    const unmask = wantsUnmasked(given['unmask'], rights);
    const message = await this.wanted(direction, id);
    if (unmask) await this.noteSeen(message, rights.actor, 'unmask');
    const isOut = message.direction === 'out';
    const options = { unmask, charsets: this.charsets };
    const hasTree = given['tree'] !== 'none' && message.raw_dropped_at === null;
    const [tree, attempts, versions, actions] = await Promise.all([
      hasTree ? messageTree(this.messages.bytesOf(message), options) : null,
      isOut ? this.messages.attempts(id) : [],
      isOut ? this.messages.versions(message) : [],
      this.actions.ofMessage(id),
    ]);
    reply.header('cache-control', 'no-store');
    return showWhole(message, { tree, attempts, versions, actions }, options);
  }

  /** Another part of the parsed message: `from` is the `next` of the part before. */
  @Get('messages/:direction/:id/tree')
  async tree(
    @Req() request: FastifyRequest,
    @Param('direction') direction: string,
    @Param('id') id: string,
    @Query() given: Given,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const rights = operatorRights(request);
    const unmask = wantsUnmasked(given['unmask'], rights);
    const from = readPlace(String(given['from']));
    if (from === null) throw new Failure('http.bad-request', 'from must be the "next" of the part before.');
    const message = await this.withBytes(direction, id);
    if (unmask) await this.noteSeen(message, rights.actor, 'unmask', { fromByte: from.offset });
    const tree = await messageTree(this.messages.bytesOf(message), { unmask, from, charsets: this.charsets });
    reply.header('cache-control', 'no-store');
    return { masked: !unmask, tree };
  }

  /** The bytes as they came or went, whole and in the clear: for those who may see patient data. Logged. */
  @Get('messages/:direction/:id/raw')
  async raw(
    @Req() request: FastifyRequest,
    @Param('direction') direction: string,
    @Param('id') id: string,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const rights = operatorRights(request);
    wantsUnmasked('true', rights);
    const message = await this.withBytes(direction, id);
    await this.noteSeen(message, rights.actor, 'download');
    reply
      .headers({
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'content-security-policy': 'sandbox',
      })
      .header('content-disposition', `attachment; filename="${message.direction}-${message.id}.hl7"`)
      .header('content-length', message.bytes)
      .type('application/octet-stream')
      .send(Readable.from(allOf(this.messages.bytesOf(message), message.bytes)));
  }

  /** `{destinations, lanes, holds, filing}`: what waits, since when, and what it waits for. */
  @Get('lanes')
  lanesOf(@Req() request: FastifyRequest) {
    operatorRights(request);
    return readLanes(this.lanes, this.alerts.destinations());
  }

  /** `{groups}`: what nobody has dealt with yet, by reason. */
  @Get('dead')
  async dead(@Req() request: FastifyRequest) {
    operatorRights(request);
    return { groups: await this.messages.deadByReason() };
  }

  /** `{actions}`: who did what and why, newest first; `before` is the id of the last one shown. */
  @Get('actions')
  async log(@Req() request: FastifyRequest, @Query('before') before: string | undefined) {
    operatorRights(request);
    if (before !== undefined && !/^\d{1,18}$/.test(before))
      throw new Failure('http.bad-request', 'before must be the id of an action.');
    return { actions: (await this.actions.newest(before ?? null)).map(showAction) };
  }

  /** `{alerts}`: what is wrong now. */
  @Get('alerts')
  async alertsNow(@Req() request: FastifyRequest) {
    operatorRights(request);
    return { alerts: await this.alerts.now() };
  }

  private async wanted(direction: string, id: string): Promise<WholeMessage> {
    const message =
      direction === 'in' || direction === 'out'
        ? await this.messages.message(direction as Direction, id)
        : null;
    if (message === null) throw unknownMessage();
    return message;
  }

  private async withBytes(direction: string, id: string): Promise<WholeMessage> {
    const message = await this.wanted(direction, id);
    if (message.raw_dropped_at === null) return message;
    throw new Failure('http.not-found', 'The bytes of this message were dropped when their time was over.');
  }

  private noteSeen(
    message: WholeMessage,
    actor: string,
    action: string,
    detail: Readonly<Record<string, number>> = {},
  ): Promise<void> {
    const { direction, id: messageId } = message;
    return this.actions.note(this.database, { actor, action, direction, messageId, reason: '', detail });
  }
}

/** As a stream, so that megabytes never stand in the way of others. It breaks off where retention takes the bytes meanwhile: a shorter file would look whole. */
async function* allOf(bytes: MessageBytes, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < size; at += READ_BYTES) {
    const part = await bytes.read(at, READ_BYTES);
    if (part.length < Math.min(READ_BYTES, size - at))
      throw new Failure('http.not-found', 'The bytes of this message were dropped when their time was over.');
    yield part;
  }
}
