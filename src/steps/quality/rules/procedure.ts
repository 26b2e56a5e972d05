import { jsonItems, jsonString } from '../../../dicom/json-values.ts';
import type { DicomJson } from '../../../dicom/study-source.ts';
import { CODE_SYSTEMS } from '../../../kernel/code-systems.ts';
import { type GateRule, missing, refuse } from '../gate-rule.ts';

/**
 * What was done, by code: ProcedureCodeSequence (0008,1032), RequestedProcedureCodeSequence (0032,1064), also inside
 * RequestAttributesSequence (0040,0275), and PerformedProtocolCodeSequence (0040,0260). One code that is listed is enough. Codes of the
 * site are not repeated in the verdict: they may be text.
 */
export const procedure: GateRule = ([image], fits) => {
  if (fits.procedure === undefined || image === undefined) return null;
  const required = `a procedure of ${fits.procedure.join(', ')}`;
  const codes = codesOf(image);
  if (codes.length === 0) return missing(fits, 'procedure', 'no procedure code', required);
  const wanted = new Set(fits.procedure);
  const fitting = codes.some(
    ({ code, names }) => names.some((name) => wanted.has(`${name}|${code}`)) || wanted.has(code),
  );
  return fitting ? null : refuse('procedure', 'another procedure', required);
};

const SEQUENCES = ['00081032', '00321064', '00400260'];

/** CodingSchemeDesignator (PS3.16 Table 8-1) → the FHIR name of the system. */
const SYSTEMS: Readonly<Record<string, string>> = {
  LN: CODE_SYSTEMS.loinc,
  SCT: CODE_SYSTEMS.sct,
  RADLEX: CODE_SYSTEMS.radlex,
  DCM: CODE_SYSTEMS.dcm,
};

function codesOf(image: DicomJson): { code: string; names: readonly string[] }[] {
  const places = [image, ...jsonItems(image, '00400275')];
  return places
    .flatMap((place) => SEQUENCES.flatMap((tag) => jsonItems(place, tag)))
    .flatMap((item) => {
      const code = jsonString(item, '00080100');
      if (code === null) return [];
      const scheme = jsonString(item, '00080102') ?? '';
      return [{ code, names: [scheme, SYSTEMS[scheme.toUpperCase()] ?? scheme] }];
    });
}
