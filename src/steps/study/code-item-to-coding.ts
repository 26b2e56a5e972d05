import type { CodeableConcept, Coding } from '@medplum/fhirtypes';
import { jsonItems, jsonString } from '../../dicom/json-values.ts';
import type { DicomJson } from '../../dicom/study-source.ts';
import { systemOfName } from '../../hl7/code-system-names.ts';

/** One item of a code sequence (PS3.3 8) → Coding; null when it has no code. */
export function codeItemToCoding(item: DicomJson): Coding | null {
  const code = jsonString(item, '00080100') ?? jsonString(item, '00080119') ?? jsonString(item, '00080120');
  if (code === null || /^\s|\s$|\s{2,}/.test(code)) return null;
  const system = systemOfName(jsonString(item, '00080102') ?? '');
  const display = jsonString(item, '00080104');
  return { ...(system ? { system } : {}), code, ...(display ? { display } : {}) };
}

/** Every item of a code sequence → CodeableConcept, with the meaning as text. */
export function codesToConcepts(instance: DicomJson, tag: string): CodeableConcept[] {
  return jsonItems(instance, tag).flatMap((item) => {
    const coding = codeItemToCoding(item);
    const text = jsonString(item, '00080104');
    return coding || text ? [{ ...(coding ? { coding: [coding] } : {}), ...(text ? { text } : {}) }] : [];
  });
}
