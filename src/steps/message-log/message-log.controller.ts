import { Controller, Get, Inject, Param, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import { Database } from '../../database/database.ts';
import { readSenderCharsets, type SenderCharsets } from '../../hl7/sender-charsets.ts';
import { Failure } from '../../kernel/errors.ts';
import { ActionStore } from './action.store.ts';
import { AlertWatch } from './alert-watch.ts';
import { LaneStore } from './lane.store.ts';
import { MessageLogStore, type WholeMessage } from './message-log.store.ts';
import { cursorText, type Direction, readMessageQuery } from './message-query.ts';
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
    const [attempts, versions, actions] = await Promise.all([
      isOut ? this.messages.attempts(id) : [],
      isOut ? this.messages.versions(message) : [],
      this.actions.ofMessage(id),
    ]);
    reply.header('cache-control', 'no-store');
    return showWhole(message, { attempts, versions, actions }, { unmask, charsets: this.charsets });
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
    const message = await this.wanted(direction, id);
    if (message.raw_dropped_at !== null)
      throw new Failure('http.not-found', 'The bytes of this message were dropped when their time was over.');
    await this.noteSeen(message, rights.actor, 'download');
    reply
      .headers({
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'content-security-policy': 'sandbox',
      })
      .header('content-disposition', `attachment; filename="${message.direction}-${message.id}.hl7"`)
      .type('application/octet-stream')
      .send(message.raw);
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
    if (message === null)
      throw new Failure('hl7.unknown-message', 'There is no such message in the log; its time may be over.');
    return message;
  }

  private noteSeen(message: WholeMessage, actor: string, action: string): Promise<void> {
    const { direction, id: messageId } = message;
    return this.actions.note(this.database, { actor, action, direction, messageId, reason: '' });
  }
}
