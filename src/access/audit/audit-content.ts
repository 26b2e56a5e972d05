import { crc32 } from 'node:zlib';
import type { AuditEntry } from '../../database/audit-sink.ts';
import { type Actor, SERVER_CLIENT } from '../../kernel/acting.ts';
import { findPatients } from './find-patients.ts';

/** One event as it is kept. */
export interface AuditedEvent {
  readonly kind: string;
  readonly interaction: string;
  readonly action: string;
  readonly outcome: number;
  readonly status: number | null;
  readonly client: string;
  readonly person: string | null;
  readonly roles: string | null;
  readonly token: string | null;
  readonly address: string | null;
  readonly purpose: string | null;
  readonly request: string | null;
  readonly entity: string | null;
  readonly version: string | null;
  readonly query: string | null;
  readonly detail: string | null;
  readonly patients: readonly string[];
}

/** Texts that a caller chooses are cut here: the audit is no place to store things. */
export const AUDIT_TEXT_CHARS_MAX = 4_096;
/** An event of more patients would be a list of the house; `detail` then says how many there were. */
export const AUDIT_PATIENTS_MAX = 2_000;

/** From an entry and who acts. Nothing in it can fail to be stored: U+0000 and lone surrogates are replaced. */
export function eventOf(entry: AuditEntry, actor: Actor | null): AuditedEvent {
  const who: Actor = entry.actor ?? actor ?? { client: SERVER_CLIENT };
  const patients = patientsOf(entry);
  const cut = patients.length > AUDIT_PATIENTS_MAX;
  return {
    kind: entry.kind,
    interaction: storable(entry.interaction) ?? '',
    action: entry.action,
    outcome: entry.outcome,
    status: entry.status ?? null,
    client: storable(who.client) ?? '',
    person: storable(who.person),
    roles: who.roles && who.roles.length > 0 ? who.roles.join(' ') : null,
    token: storable(who.tokenId),
    address: storable(who.address),
    purpose: storable(who.purpose),
    request: storable(who.request),
    entity: storable(entry.entity),
    version: storable(entry.version),
    query: storable(entry.query),
    detail: cut
      ? `${patients.length} patients, the first ${AUDIT_PATIENTS_MAX} named`
      : storable(entry.detail),
    patients: cut ? patients.slice(0, AUDIT_PATIENTS_MAX) : patients,
  };
}

function patientsOf({ patients = [], texts = [] }: AuditEntry): readonly string[] {
  if (texts.length === 0) return patients;
  const all = new Set(patients);
  for (const text of texts) findPatients(text, all);
  return [...all];
}

function storable(text: string | undefined): string | null {
  if (text === undefined) return null;
  if (text.length <= AUDIT_TEXT_CHARS_MAX && text.isWellFormed() && !text.includes('\0')) return text;
  const short = text.slice(0, AUDIT_TEXT_CHARS_MAX);
  return short.replaceAll('\0', '\uFFFD').toWellFormed();
}

/** A JSON array of one array per event: names would be most of the text. */
export const printEvents = (events: readonly AuditedEvent[]): string =>
  JSON.stringify(
    events.map((e) => {
      const { kind, interaction, action, outcome, status, client, person, roles, token } = e;
      const { address, purpose, request, entity, version, query, detail, patients } = e;
      // biome-ignore format: one list, in the order in which `parseEvents` reads it
      return [kind, interaction, action, outcome, status, client, person, roles, token, address, purpose, request, entity, version, query, detail, patients];
    }),
  );

/** Throws a SyntaxError or TypeError for a text that was not printed here. */
export function parseEvents(content: string): AuditedEvent[] {
  const rows = JSON.parse(content) as unknown[][];
  return rows.map((row) => {
    const [kind, interaction, action, outcome, status, client, person, roles, token, ...rest] = row;
    const [address, purpose, request, entity, version, query, detail, patients] = rest;
    return {
      ...{ kind, interaction, action, outcome, status, client, person, roles, token },
      ...{ address, purpose, request, entity, version, query, detail, patients },
    } as AuditedEvent;
  });
}

/** What kind of value an event is found by. */
export type KeyKind = 'patient' | 'entity' | 'client' | 'person' | 'kind' | 'interaction' | 'outcome';

/** 32 bits of a key: what the index finds is looked at again, so two keys that share a number do no harm. */
export const keyOf = (kind: KeyKind, value: string): number => crc32(value, beginningOf(kind)) | 0;

/** A checksum goes on from that of what stands before: the kind and a blank. */
function beginningOf(kind: KeyKind): number {
  const known = beginnings.get(kind);
  if (known !== undefined) return known;
  const made = crc32(`${kind} `);
  beginnings.set(kind, made);
  return made;
}

const beginnings = new Map<KeyKind, number>();

/** All keys of the events, each once, in ascending order. Success is not a key: most events are one. */
export function keysOf(events: readonly AuditedEvent[]): number[] {
  const keys = new Set<number>();
  let before: AuditedEvent | null = null;
  for (const event of events) {
    // Those of one row are mostly alike: the same client reads.
    if (event.client !== before?.client) keys.add(keyOf('client', event.client));
    if (event.kind !== before?.kind) keys.add(keyOf('kind', event.kind));
    if (event.interaction !== before?.interaction) keys.add(keyOf('interaction', event.interaction));
    if (event.outcome !== 0) keys.add(keyOf('outcome', String(event.outcome)));
    if (event.person !== null && event.person !== before?.person) keys.add(keyOf('person', event.person));
    if (event.entity !== null) keys.add(keyOf('entity', event.entity));
    for (const patient of event.patients) keys.add(keyOf('patient', patient));
    before = event;
  }
  return [...keys].sort((a, b) => a - b);
}
