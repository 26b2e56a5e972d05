import { accessOfGrant, type Granted, ownerCondition } from '../fhir/access-context.ts';
import { SqlParameters } from '../fhir/sql-parameters.ts';

/**
 * Which studies of the archive a caller may see, for statements that are not ours: SQL that is true for the study whose UID stands in `column`, its values bound from
 * `$first` on. null: all.
 */
export type StudiesSeen = (
  column: string,
  first: number,
) => { readonly text: string; readonly values: readonly unknown[] } | null;

/**
 * A study is seen by whoever may read its ImagingStudy (identifier `urn:dicom:uid|urn:oid:…`): the patient, labels and consent are those of the record. A study that has no record
 * yet is seen only by callers who see all.
 */
export function studiesOf(grant: Granted): StudiesSeen {
  const access = accessOfGrant(grant);
  return (column, first) => {
    const parameters = new SqlParameters();
    for (let at = 1; at < first; at++) parameters.add(null);
    const head = parameters.add('ImagingStudy.identifier@urn:dicom:uid|urn:oid:', 'text');
    const which = `own.tokens && ARRAY[(${head} || ${column}) COLLATE "C"]`;
    const text = ownerCondition(access, 'ImagingStudy', which, parameters);
    return text === null ? null : { text, values: parameters.values.slice(first - 1) };
  };
}
