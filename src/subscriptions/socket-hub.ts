import { once } from 'node:events';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Subscription } from '@medplum/fhirtypes';
import type { Logger } from 'pino';
import { type WebSocket, WebSocketServer } from 'ws';
import { type AccessContext, type Granted, grantIsOver } from '../fhir/access-context.ts';
import type { ResourceStore } from '../fhir/resource-store.ts';
import { SERVER_CLIENT } from '../kernel/acting.ts';
import { isTopicBased } from './backport.ts';
import { readChannel } from './channel/read-channel.ts';
import { eventsSeen, gatherEvents } from './gather-events.ts';
import { knownTopics } from './known-topics.ts';
import { ListenForEvents } from './listen-for-events.ts';
import { type HookSettings, textsOf } from './notify-host.ts';
import { sha256 } from './operations.ts';
import { accessOfReader, accessOfSubscriber } from './subscriber-access.ts';
import type { SubscriptionStore } from './subscription.store.ts';
import { writeNotification, writerFor } from './write-notification.ts';

/** `wss://host/fhir/ws` */
export const SOCKET_PATH = '/fhir/ws';
/** Open sockets of one process; each costs a file handle and some 50 kB. */
export const SOCKETS_MAX = 500;
/** What a client says is a word and a token. */
export const SOCKET_MESSAGE_BYTES_MAX = 1_024;
/** A client that has shown no token by then has none. */
export const BIND_WITHIN_MS = 10_000;
/** Sockets of one address that have bound nothing yet: whoever has no token cannot take all the places. A page of a department's proxy binds within milliseconds. */
export const UNBOUND_PER_ADDRESS_MAX = 50;
/** A client that does not answer two of these is gone. */
export const SOCKET_PING_MS = 30_000;
/** A client that does not read: what waits for it would fill our memory. */
export const SOCKET_BACKLOG_BYTES_MAX = 8_388_608;
/** At a stop: a client that does not say goodbye by then is cut off. */
const CLOSED_WITHIN_MS = 1_000;
/** Subscriptions one socket listens to. */
export const BINDINGS_MAX = 200;
/** Why a socket ends whose reader signed out, or whose app gave its token back: it is told of nothing from then on. */
const SIGNED_OUT = 'signed out';
const EVENTS_AT_ONCE = 50;
/** Guesses of a token on one connection. */
const REFUSALS_MAX = 3;

interface Binding {
  readonly id: string;
  /** Who asked for the token it was bound with. */
  readonly reader: Granted;
  /** Number of the last event this socket was told of. */
  told: number;
  /** One look at the log at a time; another that was asked for meanwhile follows. */
  looking: boolean;
  again: boolean;
}

interface Client {
  readonly socket: WebSocket;
  /** For the audit: who was told of somebody's resources. */
  readonly address: string;
  /** Subscriptions that its tokens allow, and who asked for each token. */
  readonly allowed: Map<string, Granted>;
  readonly bindings: Map<string, Binding>;
  alive: boolean;
  refusals: number;
}

/**
 * The WebSockets of this process (R4 subscription.html, "websocket", and Subscriptions R5 Backport, "Websockets"). A socket is nothing until it shows a binding
 * token, from `Subscription/$get-ws-binding-token`, which only a reader of the Subscription gets, and is told of what that reader and its author may both see: in the header `Authorization: Bearer`, or by
 * `bind-with-token <token>`, which binds all its Subscriptions; `bind <id>` binds one of them. Each socket is told what the log of events has
 * beyond its own last number, so nothing comes twice or out of order; what came while nobody listened is asked for by `$events`.
 */
export class SocketHub {
  private readonly server = new WebSocketServer({
    noServer: true,
    maxPayload: SOCKET_MESSAGE_BYTES_MAX,
    perMessageDeflate: false,
  });
  private readonly clients = new Set<Client>();
  private pinger: NodeJS.Timeout | null = null;
  private stopping = false;

  constructor(
    private readonly resources: ResourceStore,
    private readonly store: SubscriptionStore,
    private readonly events: ListenForEvents,
    private readonly settings: HookSettings,
    private readonly log: Pick<Logger, 'warn'>,
  ) {}

  /**
   * Takes WebSocket requests to `SOCKET_PATH`. All other requests with `Upgrade` (Java's HTTP client sends `h2c` with each first one) are
   * answered as if they had none, as RFC 9110 7.8 allows.
   */
  attach(http: Server): void {
    const server = http as Server & { shouldUpgradeCallback?: (request: IncomingMessage) => boolean };
    server.shouldUpgradeCallback = isForUs;
    http.on('upgrade', (request, socket, head) => this.upgrade(request, socket, head));
    this.pinger = setInterval(() => this.pingAll(), SOCKET_PING_MS).unref();
  }

  /** Before the HTTP server ends, which would cut the connections: each is told why (RFC 6455 7.4.1). */
  async stop(): Promise<void> {
    this.stopping = true;
    if (this.pinger) clearInterval(this.pinger);
    await this.events.stop();
    const patience = sleep(CLOSED_WITHIN_MS, undefined, { ref: false });
    const told = [...this.clients].map(({ socket }) => {
      const closed = socket.readyState === socket.CLOSED ? undefined : once(socket, 'close');
      socket.close(1001, 'the server stops');
      return closed;
    });
    await Promise.race([Promise.all(told), patience]);
    for (const { socket } of this.clients) socket.terminate();
  }

  private upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => undefined);
    const address = request.socket.remoteAddress ?? '';
    if (
      this.stopping ||
      this.clients.size >= SOCKETS_MAX ||
      this.unboundOf(address) >= UNBOUND_PER_ADDRESS_MAX
    ) {
      socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    const token = /^Bearer ([A-Za-z0-9_-]{43})$/.exec(request.headers.authorization ?? '')?.[1];
    this.server.handleUpgrade(request, socket, head, (opened) => void this.welcome(opened, address, token));
  }

  private unboundOf(address: string): number {
    let count = 0;
    for (const client of this.clients)
      if (client.address === address && client.bindings.size === 0) count += 1;
    return count;
  }

  private async welcome(socket: WebSocket, address: string, token: string | undefined): Promise<void> {
    const client: Client = {
      socket,
      address,
      allowed: new Map(),
      bindings: new Map(),
      alive: true,
      refusals: 0,
    };
    this.clients.add(client);
    const patience = setTimeout(
      () => client.bindings.size === 0 && socket.close(1008, 'nothing was bound'),
      BIND_WITHIN_MS,
    );
    let last = token ? this.heard(client, `token ${token}`) : Promise.resolve();
    socket.on('message', (data) => {
      last = last.then(() => this.heard(client, String(data)));
    });
    socket.on('pong', () => {
      client.alive = true;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(patience);
      this.clients.delete(client);
    });
  }

  /** One word of a client. What is not understood ends the connection: there is no other way to say so. */
  private async heard(client: Client, text: string): Promise<void> {
    try {
      const [, verb, what = ''] =
        /^(token|bind-with-token|bind|unbind) ([A-Za-z0-9\-._]{1,64})$/.exec(text.trim()) ?? [];
      if (verb === 'bind') await this.bind(client, what);
      else if (verb === 'unbind') client.bindings.delete(what);
      else if (verb) await this.showToken(client, what, verb === 'bind-with-token');
      else client.socket.close(1003, 'say: bind-with-token <token>, bind <id> or unbind <id>');
    } catch (error) {
      this.log.warn({ err: (error as Error).name }, 'a WebSocket could not be served');
      client.socket.close(1011, 'try again');
    }
  }

  private async showToken(client: Client, token: string, bindAll: boolean): Promise<void> {
    const bound = await this.store.bound(sha256(token));
    if (!bound) return this.refuse(client);
    for (const id of bound.ids) client.allowed.set(id, bound.reader);
    if (bindAll) for (const id of bound.ids) await this.bind(client, id);
  }

  private refuse(client: Client): void {
    client.refusals += 1;
    if (client.refusals >= REFUSALS_MAX) client.socket.close(1008, 'refused');
    else client.socket.send('error not bound: show a token from Subscription/$get-ws-binding-token');
  }

  private async bind(client: Client, id: string): Promise<void> {
    const reader = client.allowed.get(id);
    const found = reader && client.bindings.size < BINDINGS_MAX ? await this.live(id) : null;
    if (!reader || !found || grantIsOver(reader)) return this.refuse(client);
    await this.events.start((subscriptionId) => this.tell(subscriptionId));
    const { events } = await this.store.state(id);
    client.bindings.set(id, { id, reader, told: events, looking: false, again: false });
    if (found.topic) client.socket.send((await this.notification(found, 'handshake', [], events, null)).text);
    else client.socket.send(`bound ${id}`);
    // An event that was written between the look at the number and the binding.
    this.tell(id);
  }

  private tell(id: string | null): void {
    for (const client of this.clients) {
      for (const binding of client.bindings.values()) {
        if (id !== null && id !== binding.id) continue;
        if (binding.looking) binding.again = true;
        else void this.tellOne(client, binding);
      }
    }
  }

  private async tellOne(client: Client, binding: Binding): Promise<void> {
    binding.looking = true;
    try {
      do {
        binding.again = false;
        if (grantIsOver(binding.reader)) return client.socket.close(1008, SIGNED_OUT);
        const events = await this.store.events(binding.id, binding.told, EVENTS_AT_ONCE);
        const found = events.length > 0 ? await this.live(binding.id) : null;
        if (events.length > 0 && !found) client.bindings.delete(binding.id);
        if (!found) break;
        if (client.socket.bufferedAmount > SOCKET_BACKLOG_BYTES_MAX)
          return client.socket.close(1013, 'read faster');
        const access = accessOfReader(binding.reader, await this.store.state(binding.id));
        const seen = access ? await eventsSeen(this.resources, events, access) : events;
        if (seen.length > 0 && found.topic) await this.sendEach(client, found, seen, access);
        else if (seen.length > 0) client.socket.send(`ping ${binding.id}`);
        binding.told = events.at(-1)?.number ?? binding.told;
        if (events.length === EVENTS_AT_ONCE) binding.again = true;
      } while (binding.again);
    } catch (error) {
      this.log.warn(
        { subscription: binding.id, err: (error as Error).name },
        'a WebSocket could not be told',
      );
      client.socket.close(1011, 'try again');
    } finally {
      binding.looking = false;
    }
  }

  /** A message for each event, and before the first of them a record of whose resources they are: what cannot be recorded is not sent. */
  private async sendEach(
    client: Client,
    found: LiveSocket,
    events: Events,
    access: AccessContext | null,
  ): Promise<void> {
    const messages: Written[] = [];
    for (const event of events)
      messages.push(await this.notification(found, 'event-notification', [event], event.number, access));
    await this.resources.record({
      kind: 'hook',
      interaction: 'event-notification',
      action: 'R',
      outcome: 0,
      entity: `Subscription/${found.stored.id}`,
      detail: 'websocket',
      texts: messages.flatMap(({ texts }) => texts),
      actor: { client: `${SERVER_CLIENT}/websocket`, address: client.address },
    });
    for (const { text } of messages) client.socket.send(text);
  }

  private async live(id: string): Promise<LiveSocket | null> {
    const kept = await this.resources.read('Subscription', id);
    const stored = kept && !kept.deleted ? kept.parse<Subscription>() : null;
    if (stored?.status !== 'active' || stored.channel.type !== 'websocket') return null;
    if (stored.end && new Date(stored.end) <= new Date()) return null;
    const topics = isTopicBased(stored) ? await knownTopics(this.resources) : null;
    return { stored, topic: topics?.get(stored.criteria.split('|')[0] ?? '') ?? null };
  }

  private async notification(
    { stored, topic }: LiveSocket,
    type: 'handshake' | 'event-notification',
    events: Events,
    number: number,
    reader: AccessContext | null,
  ): Promise<Written> {
    const { content } = readChannel(stored, null, this.settings.baseUrl, this.settings.SUBSCRIPTION_HOSTS);
    const id = String(stored.id);
    const access = reader ?? accessOfSubscriber(await this.store.state(id));
    const notified = await gatherEvents(this.resources, events, topic, content, access);
    const status = type === 'handshake' ? 'requested' : 'active';
    const text = writeNotification(
      { type, subscriptionId: id, topic: topic?.url ?? null, status, content, events: number, notified },
      writerFor(this.resources.base),
    );
    return { text, texts: notified.flatMap(textsOf) };
  }

  private pingAll(): void {
    for (const client of this.clients) {
      if (!client.alive) client.socket.terminate();
      else if ([...client.bindings.values()].some(({ reader }) => grantIsOver(reader)))
        client.socket.close(1008, SIGNED_OUT);
      else client.socket.ping();
      client.alive = false;
    }
  }
}

const isForUs = (request: IncomingMessage): boolean =>
  request.url?.split('?', 1)[0] === SOCKET_PATH && request.headers.upgrade?.toLowerCase() === 'websocket';

type Events = Awaited<ReturnType<SubscriptionStore['events']>>;

/** A message, and the FHIR JSON whose patients it tells of. */
interface Written {
  readonly text: string;
  readonly texts: readonly string[];
}

interface LiveSocket {
  readonly stored: Subscription;
  readonly topic: Awaited<ReturnType<typeof knownTopics>> extends ReadonlyMap<string, infer T>
    ? T | null
    : never;
}
