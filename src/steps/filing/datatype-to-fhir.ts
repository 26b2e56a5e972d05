import type {
  Address,
  CodeableConcept,
  Coding,
  ContactPoint,
  HumanName,
  Identifier,
  Reference,
} from '@medplum/fhirtypes';
import { authorityToIdentifier, type NumberKind } from '../../hl7/assigning-authority.ts';
import { systemOfName } from '../../hl7/code-system-names.ts';
import type { Hl7Repetition, Hl7Segment } from '../../hl7/codec.ts';
import { withoutControls } from '../../hl7/control-characters.ts';
import { timestampToDate } from '../../hl7/timestamp.ts';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';

/**
 * HL7 v2 data types as FHIR R4 data types (v2-to-FHIR, data type maps). Every function gives null for an empty value, so
 * that no empty element is ever written. The delete mark `""` counts as empty here.
 */

/** What a mapping needs to know of the sender. */
export interface SenderContext {
  /** MSH-4, else MSH-3: names the authority of numbers that name none. */
  readonly facility: string;
  /** IANA name: zone of times that have none; null when the site has named none, and then only their date is kept. */
  readonly timeZone: string | null;
}

/** Without the delete mark, spaces around, and control characters (`\X00\`). */
export const plain = (text: string | undefined): string =>
  text === undefined || text === '""' ? '' : withoutControls(text).trim();

/** CX → Identifier; `type` is used when CX-5 is empty. */
export function cxToIdentifier(
  cx: Hl7Repetition,
  kind: NumberKind,
  type: string | null,
  context: SenderContext,
): Identifier | null {
  const value = plain(cx.get(1));
  if (value === '') return null;
  const { extension, ...named } = authorityToIdentifier(kind, designator(cx, 4), context.facility);
  const code = plain(cx.get(5)) || type;
  const [start, end] = [timestampToDate(plain(cx.get(7))), timestampToDate(plain(cx.get(8)))];
  return {
    ...(extension ? { extension } : {}),
    ...(code ? { type: { coding: [{ system: CODE_SYSTEMS.v2Identifier, code }] } } : {}),
    ...named,
    value,
    ...(start || end ? { period: { ...(start ? { start } : {}), ...(end ? { end } : {}) } } : {}),
  };
}

/** EI (number, namespace, universal id, its type) → Identifier, of that type where one is given. */
export function eiToIdentifier(
  ei: Hl7Repetition | undefined,
  kind: NumberKind,
  type: string | null,
  context: SenderContext,
): Identifier | null {
  const value = plain(ei?.get(1));
  if (ei === undefined || value === '') return null;
  const authority = {
    namespace: plain(ei.get(2)),
    universalId: plain(ei.get(3)),
    universalIdType: plain(ei.get(4)),
  };
  const { extension, ...named } = authorityToIdentifier(kind, authority, context.facility);
  return {
    ...(extension ? { extension } : {}),
    ...(type ? { type: { coding: [{ system: CODE_SYSTEMS.v2Identifier, code: type }] } } : {}),
    ...named,
    value,
  };
}

/** CWE/CE → CodeableConcept: code and alternate as codings; text from component 9, else the first display without a code. */
export function cweToConcept(cwe: Hl7Repetition | undefined): CodeableConcept | null {
  if (cwe === undefined) return null;
  const coding = [1, 4].map((at) => tripleToCoding(cwe, at)).filter((one) => one !== null);
  const text = plain(cwe.text(9)) || plain(cwe.text(2)) || plain(cwe.text(5)) || plain(cwe.text(1));
  if (coding.length === 0 && text === '') return null;
  return { ...(coding.length > 0 ? { coding } : {}), ...(text ? { text } : {}) };
}

function tripleToCoding(cwe: Hl7Repetition, at: number): Coding | null {
  const code = plain(cwe.text(at));
  if (code === '' || /\s{2,}/.test(code)) return null;
  const system = systemOfName(plain(cwe.get(at + 2)));
  const display = plain(cwe.text(at + 1));
  return { ...(system ? { system } : {}), code, ...(display ? { display } : {}) };
}

/** XPN → HumanName. Surname may be split in subcomponents (own name prefix); the first is the whole name. */
export function xpnToName(xpn: Hl7Repetition): HumanName | null {
  const family = plain(xpn.get(1));
  const given = [plain(xpn.get(2)), plain(xpn.get(3))].filter((part) => part !== '');
  if (family === '' && given.length === 0) return null;
  const use = NAME_USES[plain(xpn.get(7))];
  return {
    ...(use ? { use } : {}),
    ...(family ? { family } : {}),
    ...(given.length > 0 ? { given } : {}),
    ...(plain(xpn.get(5)) ? { prefix: [plain(xpn.get(5))] } : {}),
    ...(plain(xpn.get(4)) ? { suffix: [plain(xpn.get(4))] } : {}),
  };
}

/** XAD → Address. */
export function xadToAddress(xad: Hl7Repetition): Address | null {
  const line = [plain(xad.get(1)), plain(xad.get(2))].filter((part) => part !== '');
  const parts = { city: 3, state: 4, postalCode: 5, country: 6, district: 9 } as const;
  const named = Object.entries(parts).map(([name, at]) => [name, plain(xad.get(at))] as const);
  const filled = named.filter(([, value]) => value !== '');
  if (line.length === 0 && filled.length === 0) return null;
  const use = ADDRESS_USES[plain(xad.get(7))];
  return { ...(use ? { use } : {}), ...(line.length > 0 ? { line } : {}), ...Object.fromEntries(filled) };
}

/**
 * XTN → ContactPoint: the number of component 12, 1, or put together from 5 to 8; or the e-mail of component 4. Components 2 (table 0201) and 3 (table
 * 0202) say what it is; `use` is that of the field, where they do not.
 */
export function xtnToContact(xtn: Hl7Repetition, use: ContactPoint['use'] | undefined): ContactPoint | null {
  const parts = [5, 6, 7].map((at) => plain(xtn.get(at))).filter((part) => part !== '');
  const inside = plain(xtn.get(8));
  const built = [...parts, ...(inside !== '' && parts.length > 0 ? [`ext. ${inside}`] : [])].join(' ');
  const number = plain(xtn.get(12)) || plain(xtn.get(1)) || built;
  const email = plain(xtn.get(4));
  const equipment = plain(xtn.get(3)).toUpperCase();
  const own = equipment === 'CP' ? 'mobile' : (TELECOM_USES[plain(xtn.get(2)).toUpperCase()] ?? use);
  const isEmail = equipment === 'INTERNET' || equipment === 'X.400';
  // Some write the address where the number stands, and say by component 3 what it is.
  const value = isEmail ? email || number : number || email;
  if (value === '') return null;
  const system =
    isEmail || (number === '' && email !== '') ? 'email' : (TELECOM_SYSTEMS[equipment] ?? 'phone');
  return { system, value, ...(own ? { use: own } : {}) };
}

/** PL as it came (`ED^12^A^HOSP`), which the message back must repeat, and readable. */
export function plToLocation(pl: Hl7Repetition | undefined): Reference | null {
  const parts = [1, 2, 3, 4].map((at) => plain(pl?.get(at)));
  // Type, building and floor, and the authority of the facility (an HD), are for who gets it back.
  const more = [5, 6, 7, 8].map((at) => plain(pl?.get(at)));
  const value = [...parts.slice(0, 3), plain(pl?.text(4)), ...more].join('^').replace(/\^+$/, '');
  if (value === '') return null;
  return { identifier: { value }, display: parts.filter((part) => part !== '').join(' ') };
}

/** Maps the repetitions of a field, leaving out the empty ones. */
export function mapRepetitions<T>(
  segment: Hl7Segment | undefined,
  field: number,
  map: (one: Hl7Repetition) => T | null,
): T[] {
  return (segment?.repetitions(field) ?? []).map(map).filter((one): one is T & {} => one !== null);
}

function designator(from: Hl7Repetition, component: number) {
  return {
    namespace: plain(from.get(component, 1)),
    universalId: plain(from.get(component, 2)),
    universalIdType: plain(from.get(component, 3)),
  };
}

/** Table 0201. */
const TELECOM_USES: Readonly<Record<string, ContactPoint['use']>> = {
  PRN: 'home',
  ORN: 'home',
  VHN: 'home',
  WPN: 'work',
  PRS: 'mobile',
};
/** Table 0202; a text telephone is a telephone. */
const TELECOM_SYSTEMS: Readonly<Record<string, ContactPoint['system']>> = {
  FX: 'fax',
  BP: 'pager',
  SAT: 'phone',
};
/** Table 0200. */
const NAME_USES: Readonly<Record<string, HumanName['use']>> = {
  L: 'official',
  D: 'usual',
  M: 'maiden',
  N: 'nickname',
  A: 'old',
  T: 'temp',
};
/** Table 0190. */
const ADDRESS_USES: Readonly<Record<string, Address['use']>> = {
  H: 'home',
  L: 'home',
  P: 'home',
  B: 'work',
  O: 'work',
  C: 'temp',
  BA: 'old',
};
