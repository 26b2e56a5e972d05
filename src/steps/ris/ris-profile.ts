import { createHash } from 'node:crypto';
import type { ErrorObject } from 'ajv';
import dcm4cheeRad28 from '../../../ris-profiles/dcm4chee-rad-28.json' with { type: 'json' };
import iheRad128 from '../../../ris-profiles/ihe-rad-128.json' with { type: 'json' };
import legacyText from '../../../ris-profiles/legacy-text-2.3.1.json' with { type: 'json' };
import schema from '../../../ris-profiles/ris-profile-1.schema.json' with { type: 'json' };
import { checkBySchema } from '../../kernel/check-by-schema.ts';
import { Failure, type FailureIssue } from '../../kernel/errors.ts';
import { DEFAULT_RIS_PROFILE } from './default-profile.ts';
import { placeholdersOf } from './field-templates.ts';
import { overrideFaults } from './override-fields.ts';
import type { ReadProfile, RisProfile } from './profile-settings.ts';

export type { RisProfile };
export { DEFAULT_RIS_PROFILE };

/** Profiles that come with the server, by name; a site's own may start from one (`extends`). */
export const READY_PROFILES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'ihe-rad-128': iheRad128,
  'dcm4chee-rad-28': dcm4cheeRad28,
  'legacy-text-2.3.1': legacyText,
};

/**
 * A profile as a person wrote it → all settings. What it leaves out is what the ready profile it `extends` says, else `base` (the site's names, and
 * its zone for a profile that writes times without one), else the default. Throws `ris.profile` that names every fault with its place.
 */
export function readRisProfile(written: unknown, base: Readonly<Record<string, unknown>> = {}): RisProfile {
  const {
    $schema: _schema,
    extends: ready,
    ...own
  } = (isObject(written) ? written : {}) as Record<string, unknown>;
  const issues = [...faultsOf(written), ...faultsOf(base)];
  const given = { ...DEFAULT_RIS_PROFILE, ...base, ...readyOf(ready), ...own } as RisProfile;
  // The zone of the site is for times that do not say theirs: those are read as of the receiver's.
  const isUtc = given.zoneOffset && own['timeZone'] === undefined;
  const merged = isUtc ? { ...given, timeZone: DEFAULT_RIS_PROFILE.timeZone } : given;
  // What the schema refuses already is not looked at a second time; the rest is said with it.
  const fits = (...names: string[]) =>
    !issues.some(({ at = '' }) => names.some((name) => at === name || at.startsWith(`${name}/`)));
  if (fits('overrides', 'tables', 'narrative')) issues.push(...overrideFaults(merged));
  issues.push(...linkFaults(merged).filter(({ at = '' }) => fits(at)));
  if (fits('timeZone') && !isTimeZone(merged.timeZone))
    issues.push({ at: 'timeZone', text: 'must be a time zone such as "Europe/Berlin"' });
  if (issues.length > 0) {
    const lines = issues.map((issue) => `${issue.at} ${issue.text}`).join('; ');
    throw new Failure('ris.profile', `The RIS profile has ${issues.length} fault(s): ${lines}.`, { issues });
  }
  return merged;
}

function linkFaults(profile: RisProfile): FailureIssue[] {
  return (['reportUrl', 'viewerUrl'] as const)
    .filter((at) => placeholdersOf(String(profile[at])).some((name) => !LINK_VALUES.includes(name)))
    .map((at) => ({ at, text: 'fills in {reportId}, {accession}, {studyUid} and no other name' }));
}

const LINK_VALUES = ['reportId', 'accession', 'studyUid'];

/** With its name and what identifies its content: the site's own version, if it gave one, and a hash over every setting. */
export function nameProfile(name: string, profile: RisProfile): ReadProfile {
  const content = JSON.stringify(Object.entries(profile).sort(([a], [b]) => (a < b ? -1 : 1)));
  const hash = createHash('sha256').update(content).digest('hex').slice(0, PROFILE_HASH_CHARACTERS);
  return { name, profile, version: `${profile.profileVersion || '0'}+${hash}` };
}

/** Enough to tell the versions of one profile apart. */
const PROFILE_HASH_CHARACTERS = 12;

const check = checkBySchema(schema, { verbose: true, strict: false });

function readyOf(name: unknown): Readonly<Record<string, unknown>> {
  const { $schema: _schema, ...settings } = READY_PROFILES[String(name)] ?? {};
  return settings;
}

function faultsOf(value: unknown): FailureIssue[] {
  return check(value).flatMap((error) => toFault(error) ?? []);
}

/** In words; a value is never repeated. What only says that another rule failed is left out. */
function toFault(error: ErrorObject): FailureIssue | null {
  const { params, keyword, schemaPath } = error;
  const place = error.instancePath.slice(1) || 'the profile';
  const within = (name: string) => (error.instancePath === '' ? name : `${place}/${name}`);
  if (/\/(oneOf|anyOf)\/\d+\//.test(schemaPath) || keyword === 'if' || keyword === 'propertyNames')
    return null;
  if (keyword === 'additionalProperties')
    return { at: within(String(params['additionalProperty'])), text: 'is no setting of a RIS profile' };
  if (keyword === 'required') return { at: within(String(params['missingProperty'])), text: 'is missing' };
  if (keyword === 'enum') {
    const allowed = (params['allowedValues'] as unknown[]).map((one) => JSON.stringify(one)).join(', ');
    return { at: place, text: `must be one of ${allowed}` };
  }
  if (keyword === 'oneOf')
    return {
      at: place,
      text: 'must have exactly one of set, drop, copy, constant, lookup; or add a segment',
    };
  if (keyword === 'anyOf')
    return { at: place, text: 'must be null or one ASCII character that is no delimiter (| ^ ~ & \\)' };
  if (keyword === 'pattern' && error.propertyName !== undefined)
    return {
      at: within(error.propertyName),
      text: NAME_FAULTS[place.split('/').at(-1) ?? ''] ?? 'is no name',
    };
  if (keyword === 'pattern' && schemaPath.includes('segment'))
    return { at: place, text: 'must be the name of a segment, such as ZDS' };
  if (keyword === 'pattern' && schemaPath.includes('path'))
    return { at: place, text: 'must be a place such as PID-3.4, OBX(2)-5 or NTE' };
  if (keyword === 'pattern' && /^(?:report|viewer)Url$/.test(place))
    return {
      at: place,
      text: 'must be empty, or begin with http:// or https:// and have no query, blank or |',
    };
  return { at: place, text: error.message ?? keyword };
}

const NAME_FAULTS: Readonly<Record<string, string>> = {
  fields: 'must be a place in the segment, such as 1, 1.4 or 3(2)',
  tables: 'must be a name of up to 40 letters, digits and . _ -',
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function isTimeZone(value: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: value });
    return true;
  } catch {
    return false;
  }
}
