/**
 * The id of the one Patient that a resource's index entries name, by whatever parameter; empty: they name none; null: several. It lies in the row itself
 * (`resource.sole_patient`), so that whoever asks whether the resource is of somebody who has opted out need not take the entries apart for each row
 * (`fhir/access-rule.ts`). What merely looks like such an entry counts too: then nothing is said of the row, and its entries are asked.
 */
export function solePatientOf(tokens: Iterable<string>): string | null {
  let sole = '';
  for (const entry of tokens) {
    const at = entry.indexOf(NAMED);
    if (at === -1) continue;
    const id = entry.slice(at + NAMED.length);
    if (id === '' || (sole !== '' && sole !== id)) return null;
    sole = id;
  }
  return sole;
}

/** As reference entries have it: `Observation.subject>Patient/1`. */
const NAMED = '>Patient/';
