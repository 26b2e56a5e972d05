import { TAGS_BY_VR } from './dictionary-table.ts';

/** VRs whose explicit form has a length of 32 bits after two reserved bytes (PS3.5 7.1.2). */
const LONG_VRS = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV']);
const SHORT_VRS = new Set([
  ...['AE', 'AS', 'AT', 'CS', 'DA', 'DS', 'DT', 'FD', 'FL', 'IS', 'LO'],
  ...['LT', 'PN', 'SH', 'SL', 'SS', 'ST', 'TM', 'UI', 'UL', 'US'],
]);

let vrByTag: Map<number, string> | null = null;

/**
 * VR of a tag when the file does not state it (implicit VR, or VR UN). `UN` when PS3.6 does not know the tag; `xs`
 * where PixelRepresentation decides between US and SS.
 */
export function vrOfTag(tag: number): string {
  const group = tag >>> 16;
  const element = tag & 0xffff;
  if (element === 0) return 'UL';
  if ((group & 1) === 1) return element >= 0x10 && element <= 0xff ? 'LO' : 'UN';
  vrByTag ??= readTable();
  const repeats = (group & 0xff00) === 0x5000 || (group & 0xff00) === 0x6000;
  return vrByTag.get(repeats ? (((group & 0xff00) << 16) | element) >>> 0 : tag) ?? 'UN';
}

export function isLongVr(vr: string): boolean {
  return LONG_VRS.has(vr);
}

export function isKnownVr(vr: string): boolean {
  return SHORT_VRS.has(vr) || LONG_VRS.has(vr);
}

function readTable(): Map<number, string> {
  const table = new Map<number, string>();
  for (const [vr, tags] of Object.entries(TAGS_BY_VR)) {
    for (let at = 0; at < tags.length; at += 8) table.set(Number.parseInt(tags.slice(at, at + 8), 16), vr);
  }
  return table;
}
