import { PRELIM } from '../kernel/code-systems.ts';

/**
 * HD (hierarchic designator: namespace & universal id & its type) ↔ the `system` of a FHIR Identifier, both ways without loss of what
 * receivers match on. An OID or URI stands for itself; a bare namespace becomes a URL of ours, per kind of number, because
 * one system may use the same numbers for patients, orders and visits.
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
  if (universalIdType === 'ISO' && /^[0-2](\.\d+)+$/.test(universalId)) return `urn:oid:${universalId}`;
  if (universalIdType === 'UUID' && universalId !== '') return `urn:uuid:${universalId.toLowerCase()}`;
  if (universalIdType === 'URI' && URL.canParse(universalId)) return universalId;
  const name = namespace || universalId;
  return name === ''
    ? `${UNNAMED}${kind}/${encodeURIComponent(fallback || 'local')}`
    : `${NAMED}${kind}/${encodeURIComponent(name)}`;
}

/** Back again; '' parts when the number named no authority. `display` is the namespace kept beside an OID. */
export function authorityOfSystem(system: string | undefined, display = ''): HierarchicDesignator {
  if (system?.startsWith('urn:oid:'))
    return { namespace: display, universalId: system.slice(8), universalIdType: 'ISO' };
  if (system?.startsWith('urn:uuid:'))
    return { namespace: display, universalId: system.slice(9), universalIdType: 'UUID' };
  if (system?.startsWith(NAMED)) {
    const name = decodeURIComponent(system.slice(system.lastIndexOf('/') + 1));
    return { namespace: name, universalId: '', universalIdType: '' };
  }
  return { namespace: display, universalId: '', universalIdType: '' };
}

const NAMED = `${PRELIM}/NamingSystem/hl7v2/`;
const UNNAMED = `${PRELIM}/NamingSystem/hl7v2-from/`;

/**
 * Numbers that a study carries too (DICOM 0008,0050 and 0040,…), where no authority stands beside them: one system each, so that
 * study and order meet.
 */
export const STUDY_NUMBER_SYSTEMS = {
  accession: `${PRELIM}/NamingSystem/accession`,
  requestedProcedure: `${PRELIM}/NamingSystem/requested-procedure`,
  scheduledStep: `${PRELIM}/NamingSystem/scheduled-procedure-step`,
} as const;
