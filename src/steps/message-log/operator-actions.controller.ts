import { Body, Controller, HttpCode, Param, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Failure } from '../../kernel/errors.ts';
import { OutboundActionsHost } from '../../queue/outbound-actions.ts';
import { type Direction, readMessageQuery, VALUE_CHARS_MAX } from './message-query.ts';
import { MESSAGE_ACTIONS, type MessageAction, OperatorActions } from './operator-actions.ts';
import { operatorRights } from './operator-rights.ts';

type Given = Readonly<Record<string, unknown>> | undefined;

/** A sentence for those who look at the log later; a novel would be patient data sooner or later. */
export const REASON_CHARS_MAX = 500;

/** What an operator does: plain JSON, each with a reason, each logged with its deed. Needs `system/Task.u`. */
@Controller('hl7')
export class OperatorActionsController {
  constructor(
    private readonly actions: OperatorActions,
    private readonly outbound: OutboundActionsHost,
  ) {}

  /** `resend` the same bytes, `rebuild` a new message, `send-to` another `destination`, `replay` an inbound one to filing, `discard`. */
  @Post('messages/:direction/:id/:action')
  @HttpCode(200)
  async toMessage(
    @Req() request: FastifyRequest,
    @Param('direction') direction: string,
    @Param('id') id: string,
    @Param('action') action: string,
    @Body() body: Given,
  ) {
    const { actor } = operatorRights(request);
    const known = knownAction(direction, action);
    const to = this.destinationOf(known.action, body);
    const because = { actor, reason: reasonOf(body), overNewer: body?.['overNewer'] === true, ...to };
    await this.actions.toMessage(known.direction, id, known.action, because);
    return { direction, id, action };
  }

  /** Nothing goes to the destination, or in the lane, until it is released. The answer is the hold that stands: `already` when it did before. */
  @Post('holds')
  @HttpCode(200)
  async hold(@Req() request: FastifyRequest, @Body() body: Given) {
    const { actor } = operatorRights(request);
    const target = this.targetOf(body);
    return { held: await this.actions.hold(target, { actor, reason: reasonOf(body) }) };
  }

  /** The answer is the hold that is gone: of what, since when, by whom and why. */
  @Post('holds/release')
  @HttpCode(200)
  async release(@Req() request: FastifyRequest, @Body() body: Given) {
    const { actor } = operatorRights(request);
    const target = this.targetOf(body, true);
    return { released: await this.actions.release(target, { actor, reason: reasonOf(body) }) };
  }

  /** `{direction, action, filter, destination?}` → `{count, more, goOnFrom, token}`: nothing is done yet. */
  @Post('bulk/count')
  @HttpCode(200)
  async count(@Req() request: FastifyRequest, @Body() body: Given) {
    const { actor } = operatorRights(request);
    const known = knownAction(textOf(body, 'direction'), textOf(body, 'action'));
    const filter = body?.['filter'];
    if (
      typeof filter !== 'object' ||
      filter === null ||
      Array.isArray(filter) ||
      Object.keys(filter).length === 0
    )
      throw new Failure(
        'http.bad-request',
        'filter must be an object with at least one parameter of GET /hl7/messages.',
      );
    const query = readMessageQuery({ ...filter, direction: known.direction });
    const to = this.destinationOf(known.action, body);
    return this.actions.count(query, known.direction, known.action, { actor, ...to });
  }

  /** `{token, reason}` → `{done, skipped}`: what was counted, each message logged. */
  @Post('bulk')
  @HttpCode(200)
  async bulk(@Req() request: FastifyRequest, @Body() body: Given) {
    const { actor } = operatorRights(request);
    return this.actions.toSelection(textOf(body, 'token'), { actor, reason: reasonOf(body) });
  }

  /** A destination that is not configured can be released, not held: it may have been renamed since. */
  private targetOf(body: Given, anyDestination = false): { destination: string; lane: string | null } {
    const destination = textOf(body, 'destination');
    const lane = body?.['lane'] === undefined || body['lane'] === null ? null : textOf(body, 'lane');
    if (!anyDestination) this.demandDestination(destination);
    return { destination, lane };
  }

  /** Where `send-to` sends. */
  private destinationOf(action: MessageAction, body: Given): { destination?: string } {
    if (action !== 'send-to') return {};
    const destination = textOf(body, 'destination');
    this.demandDestination(destination);
    return { destination };
  }

  private demandDestination(destination: string): void {
    const known = this.outbound.actions.destinations().map(({ name }) => name);
    if (known.includes(destination)) return;
    throw new Failure(
      'ris.unknown-destination',
      `There is no such destination. Known: ${known.join(', ') || 'none'}.`,
    );
  }
}

function knownAction(direction: string, action: string): { direction: Direction; action: MessageAction } {
  if (direction === 'in' || direction === 'out') {
    const found = (MESSAGE_ACTIONS[direction] as readonly MessageAction[]).find((one) => one === action);
    if (found) return { direction, action: found };
  }
  throw new Failure(
    'http.bad-request',
    'Known are resend, rebuild, send-to and discard for out, replay and discard for in.',
  );
}

function textOf(body: Given, name: string): string {
  const value = body?.[name];
  if (typeof value === 'string' && value !== '' && value.length <= VALUE_CHARS_MAX && !value.includes('\0'))
    return value;
  throw new Failure('http.bad-request', `${name} must be a text of up to ${VALUE_CHARS_MAX} characters.`);
}

function reasonOf(body: Given): string {
  const value = body?.['reason'];
  const reason = typeof value === 'string' ? value.replace(/\p{Cc}+/gu, ' ').trim() : '';
  if (reason === '' || reason.length > REASON_CHARS_MAX)
    throw new Failure(
      'http.bad-request',
      `reason must say why, in up to ${REASON_CHARS_MAX} characters and without patient data.`,
    );
  return reason;
}
