import type { ResourceStore } from '../fhir/resource-store.ts';
import { findPatients } from './audit/find-patients.ts';
import type { PatientsOfStudies } from './audit-requests.ts';

/** A viewer asks for hundreds of frames of one study: who its patient is, is asked of the record once in a while. */
const REMEMBERED_MAX = 10_000;
/** A study may be matched to another patient later. */
const REMEMBERED_MS = 60_000;

/** Whose the studies are, by the ImagingStudies of the record. A study that is in the archive only has nobody yet. */
export function patientsOfStudies(store: ResourceStore): PatientsOfStudies {
  const known = new Map<string, { readonly patients: readonly string[]; readonly until: number }>();
  return async (studies) => {
    const now = performance.now();
    const asked = studies.filter((uid) => (known.get(uid)?.until ?? 0) <= now);
    if (asked.length > 0) {
      if (known.size + asked.length > REMEMBERED_MAX) known.clear();
      const found = await store.findByIdentifiers(
        asked.map((uid) => ({ type: 'ImagingStudy', system: 'urn:dicom:uid', value: `urn:oid:${uid}` })),
      );
      for (const uid of asked) {
        const patients = new Set<string>();
        for (const { json } of found) if (json.includes(`"urn:oid:${uid}"`)) findPatients(json, patients);
        known.set(uid, { patients: [...patients], until: now + REMEMBERED_MS });
      }
    }
    return [...new Set(studies.flatMap((uid) => known.get(uid)?.patients ?? []))];
  };
}
