import { CODE_SYSTEMS, PRELIM } from '../kernel/code-systems.ts';

/**
 * HL7 table 0396 (names of coding systems in CWE-3) ↔ FHIR system URLs. RadLex is not in the table of the standard; `RADLEX` is what
 * DICOM dictionaries write, `99RADLEX` what receivers that validate accept, and `RID` (the prefix of its codes) is met inbound.
 */
export const CODE_SYSTEM_NAMES = [
  {
    name: 'SCT',
    url: CODE_SYSTEMS.sct,
    oid: '2.16.840.1.113883.6.96',
    aliases: ['SCT2', 'SNOMED', 'SNOMED-CT'],
  },
  { name: 'LN', url: CODE_SYSTEMS.loinc, oid: '2.16.840.1.113883.6.1', aliases: ['LOINC'] },
  { name: 'UCUM', url: CODE_SYSTEMS.ucum, oid: '2.16.840.1.113883.6.8', aliases: [] },
  { name: 'DCM', url: CODE_SYSTEMS.dcm, oid: '1.2.840.10008.2.16.4', aliases: [] },
  { name: 'RADLEX', url: CODE_SYSTEMS.radlex, oid: '2.16.840.1.113883.6.256', aliases: ['RID', '99RADLEX'] },
  {
    name: 'C4',
    url: 'http://www.ama-assn.org/go/cpt',
    oid: '2.16.840.1.113883.6.12',
    aliases: ['CPT', 'CPT4'],
  },
  {
    name: 'I10',
    url: 'http://hl7.org/fhir/sid/icd-10',
    oid: '2.16.840.1.113883.6.3',
    aliases: ['ICD10', 'ICD-10'],
  },
  {
    name: 'I10C',
    url: 'http://hl7.org/fhir/sid/icd-10-cm',
    oid: '2.16.840.1.113883.6.90',
    aliases: ['ICD10CM'],
  },
  {
    name: 'I9C',
    url: 'http://hl7.org/fhir/sid/icd-9-cm',
    oid: '2.16.840.1.113883.6.103',
    aliases: ['I9CDX'],
  },
  { name: '99PRELIM', url: CODE_SYSTEMS.finding, oid: '', aliases: [] },
] as const;

/** CWE-3 → system URL. Unknown and local names become a URL of ours that names them; '' has none. */
export function systemOfName(name: string): string | undefined {
  if (name === '') return undefined;
  const upper = name.toUpperCase();
  const known = CODE_SYSTEM_NAMES.find(
    (one) => one.name === upper || one.aliases.some((alias) => alias === upper),
  );
  return known?.url ?? LOCAL + encodeURIComponent(name);
}

/** System URL → CWE-3. An unknown URL is `L` (local), as table 0396 has it. */
export function nameOfSystem(url: string | undefined): string {
  const known = CODE_SYSTEM_NAMES.find((one) => one.url === url);
  if (known !== undefined) return known.name;
  return url?.startsWith(LOCAL) ? decodeURIComponent(url.slice(LOCAL.length)) : 'L';
}

const LOCAL = `${PRELIM}/CodeSystem/hl7v2/`;
