import type { DeidentifyOption } from '../deidentify-options.ts';
import { DUMMY_TEXTS, KEPT_BYTES, KEPT_TEXTS, NUMBER_VRS, REMOVED } from './kept-elements.ts';
import { PROFILE_TABLE, type ProfileAction, type ProfileRow } from './profile-table.ts';

/**
 * What is done with one element. `items`: a sequence stays and its items are gone through; `text`: kept when it repeats nothing of the
 * patient's and has the form of its VR.
 */
export type ElementRule =
  | 'remove'
  | 'empty'
  | 'dummy'
  | 'uid'
  | 'class-uid'
  | 'dates'
  | 'clean'
  | 'keep'
  | 'text'
  | 'age'
  | 'patient-id'
  | 'items';

export type DeidentifyOptions = ReadonlySet<DeidentifyOption>;

/**
 * The rule for a standard element (private ones are judged before): the profile's table with the options, then, for what that does not name,
 * the VR. Where the table leaves a choice by the object's definition (`X/Z`, `X/Z/D`), the answer that is valid in every definition is taken.
 */
export function ruleOfElement(tag: number, vr: string, options: DeidentifyOptions): ElementRule {
  if (isGroupLengthOrGraphic(tag)) return 'remove';
  if (tag === PATIENT_ID || tag === PATIENT_NAME) return 'patient-id';
  if (REMOVED.has(tag)) return isTime(vr) && options.has('retain-modified-dates') ? 'dates' : 'remove';
  const row = PROFILE_TABLE.get(tag);
  return row ? ruleOfRow(row, vr, options) : ruleOfVr(tag, vr, options);
}

const PATIENT_NAME = 0x00100010;
const PATIENT_ID = 0x00100020;
const PATIENT_AGE = 0x00101010;
const TIMEZONE = 0x00080201;
/** Of type 2 where it is used; other sequences without items are of type 3, and must have one. */
const ACQUISITION_CONTEXT = 0x00400555;

/** Group lengths are no longer true; curves (50xx) and overlays (60xx) are drawn by somebody and may be text. */
function isGroupLengthOrGraphic(tag: number): boolean {
  const group = tag >>> 16;
  return (tag & 0xffff) === 0 || (group & 0xff00) === 0x5000 || (group & 0xff00) === 0x6000 || group < 0x0008;
}

function ruleOfRow(
  { tag, basic, options: says }: ProfileRow,
  vr: string,
  options: DeidentifyOptions,
): ElementRule {
  // Before what another option keeps: a date of a device that is kept would tell by how much the others were moved.
  if (says['retain-modified-dates'] && options.has('retain-modified-dates') && tag !== TIMEZONE && isTime(vr))
    return 'dates';
  const kept = Object.entries(says).some(
    ([option, answer]) => answer === 'K' && options.has(option as DeidentifyOption),
  );
  if (kept)
    return tag === PATIENT_AGE
      ? 'age'
      : vr === 'SQ'
        ? 'items'
        : NUMBER_VRS.has(vr) || vr === 'UI'
          ? 'keep'
          : 'text';
  // A cleaned sequence would be a sequence of free text still: it is removed, as the basic profile has it.
  if (says['clean-descriptors'] && options.has('clean-descriptors') && isText(vr)) return 'clean';
  return basicRule(tag, basic, vr);
}

function basicRule(tag: number, basic: ProfileAction, vr: string): ElementRule {
  switch (basic) {
    case 'U':
      return 'uid';
    case 'X/Z/U*':
      return 'items';
    case 'X':
      return 'remove';
    case 'X/Z':
      return vr === 'SQ' && tag !== ACQUISITION_CONTEXT ? 'remove' : 'empty';
    case 'Z':
      return 'empty';
    default:
      if (vr === 'UI') return 'uid';
      // The sequences with a dummy are of reports and presentation states, which are refused as a whole.
      return vr === 'SQ' || vr.startsWith('O') || vr === 'UN' ? 'remove' : 'dummy';
  }
}

function ruleOfVr(tag: number, vr: string, options: DeidentifyOptions): ElementRule {
  if (PEOPLE_GROUPS.has(tag >>> 16)) return ofPeople(vr, options);
  if (DUMMY_TEXTS.has(tag)) return 'dummy';
  if (KEPT_TEXTS.has(tag)) return 'text';
  if ((KEPT_BYTES.has(tag) && vr.startsWith('O')) || NUMBER_VRS.has(vr)) return 'keep';
  if (isTime(vr)) return options.has('retain-modified-dates') ? 'dates' : 'remove';
  if (vr === 'SQ') return 'items';
  if (vr === 'UI') return CLASS_UIDS.has(tag) ? 'class-uid' : options.has('retain-uids') ? 'keep' : 'uid';
  return vr === 'CS' ? 'text' : 'remove';
}

/** Patient, clinical trial, study as ordered, visit: later editions add to them, and none of it describes the image. */
const PEOPLE_GROUPS: ReadonlySet<number> = new Set([0x0010, 0x0012, 0x0032, 0x0038, 0x4008]);

const ofPeople = (vr: string, options: DeidentifyOptions): ElementRule =>
  NUMBER_VRS.has(vr) && options.has('retain-patient-characteristics') ? 'keep' : 'remove';

/** UIDs that name a kind, not a thing. */
const CLASS_UIDS: ReadonlySet<number> = new Set([
  0x00080016, 0x0008001a, 0x0008001b, 0x0008010c, 0x00080117, 0x00080118, 0x00081150, 0x00083002,
]);

const isTime = (vr: string): boolean => vr === 'DA' || vr === 'TM' || vr === 'DT';

const isText = (vr: string): boolean => ['LO', 'SH', 'LT', 'ST', 'UT', 'UC', 'CS'].includes(vr);
