import type { Extension, Identifier } from '@medplum/fhirtypes';
import { PRELIM } from '../kernel/code-systems.ts';

/**
 * HD (hierarchic designator: namespace & universal id & its type) ↔ a FHIR Identifier, both ways without loss. By `system` numbers are compared: an OID, UUID or
 * URI stands for itself; a bare namespace becomes a URL of ours, per kind of number, because one system may use the same numbers for patients, orders and visits.
 * `assigner` has the namespace for people. Where the two do not give the designator back as it came (DNS, another writing of a type), an extension has its parts.
 */
export interface HierarchicDesignator {
  readonly namespace: string;
  readonly universalId: string;
  readonly universalIdType: string;
}

export type NumberKind =
  | 'patient'
  | 'account'
  | 'visit'
  | 'placer'
  | 'filler'
  | 'placer-group'
  | 'person'
  | 'licence'
  | 'organization'
  | 'diagnosis'
  | 'observation'
  | 'device';

/** `fallback` (the sending facility) stands in when a number names no authority. */
export function systemOfAuthority(
  kind: NumberKind,
  authority: HierarchicDesignator,
  fallback: string,
): string {
  const { namespace, universalId, universalIdType } = authority;
  if (universalIdType === 'ISO' && OID.test(universalId)) return `urn:oid:${universalId}`;
  if (universalIdType === 'UUID' && UUID.test(universalId)) return `urn:uuid:${universalId.toLowerCase()}`;
  if ((universalIdType === 'URI' || universalIdType === 'URN') && isUri(universalId)) return universalId;
  const name = namespace || universalId;
  return name === ''
    ? `${UNNAMED}${kind}/${encoded(fallback || 'local')}`
    : `${NAMED}${kind}/${encoded(name)}`;
}

/** What an Identifier has of the authority: `system`, and what that does not say. */
export function authorityToIdentifier(
  kind: NumberKind,
  authority: HierarchicDesignator,
  fallback: string,
): Pick<Identifier, 'extension' | 'assigner'> & { system: string } {
  const { namespace } = authority;
  const system = systemOfAuthority(kind, authority, fallback);
  const isSaid = isSame(authorityOfSystem(system, namespace), authority);
  return {
    ...(isSaid ? {} : { extension: [toExtension(authority)] }),
    system,
    ...(namespace ? { assigner: { display: namespace } } : {}),
  };
}

/** Back again, as it came; '' parts when the number named no authority. */
export function authorityOfIdentifier(identifier: Identifier | undefined): HierarchicDesignator {
  const { system, assigner, extension } = identifier ?? {};
  const written = extension?.find(({ url }) => url === ASSIGNING_AUTHORITY);
  const kept = written === undefined ? null : fromExtension(written);
  // Somebody has named another system since: the parts were of the one before.
  const isOfSystem =
    kept !== null && anyKind(systemOfAuthority('patient', kept, '')) === anyKind(system ?? '');
  return isOfSystem ? kept : authorityOfSystem(system, assigner?.display ?? '');
}

/** What a system alone says. `display` is the namespace beside it. */
function authorityOfSystem(system: string | undefined, display: string): HierarchicDesignator {
  const of = (universalId: string, universalIdType: string) => ({
    namespace: display,
    universalId,
    universalIdType,
  });
  if (system === undefined) return of('', '');
  const [oid, uuid] = ['urn:oid:', 'urn:uuid:'].map((start) =>
    system.startsWith(start) ? system.slice(start.length) : '',
  );
  if (oid && OID.test(oid)) return of(oid, 'ISO');
  if (uuid && UUID.test(uuid)) return of(uuid, 'UUID');
  if (system.startsWith(NAMED))
    return { ...of('', ''), namespace: decoded(system.slice(system.lastIndexOf('/') + 1)) };
  return system.startsWith(`${PRELIM}/`) || !isUri(system) ? of('', '') : of(system, 'URI');
}

const OID = /^[0-2](\.\d+)+$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** An absolute one, as `system` must be; a URI has no blank. */
const isUri = (text: string): boolean => /^[!-~]+$/.test(text) && URL.canParse(text);

/** Half a surrogate pair cannot be written. */
const encoded = (name: string): string => encodeURIComponent(name.toWellFormed());

/** A system of ours that somebody wrote by hand may be no encoding. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

const isSame = (one: HierarchicDesignator, other: HierarchicDesignator): boolean =>
  PARTS.every((part) => one[part] === other[part]);

const PARTS = ['namespace', 'universalId', 'universalIdType'] as const;

const toExtension = (authority: HierarchicDesignator): Extension => ({
  url: ASSIGNING_AUTHORITY,
  extension: PARTS.filter((part) => authority[part] !== '').map((url) => ({
    url,
    valueString: authority[url],
  })),
});

function fromExtension({ extension = [] }: Extension): HierarchicDesignator {
  const part = (name: string) => extension.find(({ url }) => url === name)?.valueString ?? '';
  return {
    namespace: part('namespace'),
    universalId: part('universalId'),
    universalIdType: part('universalIdType'),
  };
}

/** The parts of an HD as they came in a message, each where it is filled. */
export const ASSIGNING_AUTHORITY = `${PRELIM}/StructureDefinition/assigning-authority`;

const NAMED = `${PRELIM}/NamingSystem/hl7v2/`;
const UNNAMED = `${PRELIM}/NamingSystem/hl7v2-from/`;

/** A system of ours without the kind of number in it, and without the facility that stands in for an authority. */
const anyKind = (system: string): string => {
  if (system.startsWith(UNNAMED)) return UNNAMED;
  return system.startsWith(NAMED) ? `${NAMED}${system.slice(system.lastIndexOf('/') + 1)}` : system;
};

/**
 * Numbers that a study carries too (DICOM 0008,0050 and 0040,…), where no authority stands beside them: one system each, so that
 * study and order meet.
 */
export const STUDY_NUMBER_SYSTEMS = {
  accession: `${PRELIM}/NamingSystem/accession`,
  requestedProcedure: `${PRELIM}/NamingSystem/requested-procedure`,
  scheduledStep: `${PRELIM}/NamingSystem/scheduled-procedure-step`,
} as const;
