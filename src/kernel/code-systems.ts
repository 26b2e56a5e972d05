/**
 * System URLs, once. Canonical URLs of our own stand under a reserved name (RFC 2606) until the project owns a domain:
 * they identify, they do not resolve.
 */
export const PRELIM = 'https://prelim.example/fhir';

export const CODE_SYSTEMS = {
  sct: 'http://snomed.info/sct',
  loinc: 'http://loinc.org',
  ucum: 'http://unitsofmeasure.org',
  radlex: 'http://radlex.org',
  dcm: 'http://dicom.nema.org/resources/ontology/DCM',
  v2Identifier: 'http://terminology.hl7.org/CodeSystem/v2-0203',
  v2Diagnostic: 'http://terminology.hl7.org/CodeSystem/v2-0074',
  observationCategory: 'http://terminology.hl7.org/CodeSystem/observation-category',
  interpretation: 'http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation',
  subscriptionTag: `${PRELIM}/CodeSystem/tag`,
  /** One code per finding key of a model manifest; source of our ConceptMaps. */
  finding: `${PRELIM}/CodeSystem/finding`,
  /** Named reasons of refusal: one code per gate rule. */
  refusal: `${PRELIM}/CodeSystem/refusal`,
  /** The codes of `errors.ts`, in every OperationOutcome of a refusal. */
  failure: `${PRELIM}/CodeSystem/failure`,
} as const;

/** Profiles of what we write, published in `fhir-profiles/`. */
export const PROFILES = {
  report: `${PRELIM}/StructureDefinition/preliminary-ai-report`,
  finding: `${PRELIM}/StructureDefinition/finding-observation`,
} as const;

/** ACR actionable category (1, 2, 3) of an Observation, as valueInteger. */
export const ACTIONABLE_EXTENSION = `${PRELIM}/StructureDefinition/actionable-category`;

/** On a Coding that means more, or less, than the finding; absent where it fits exactly. */
export const MATCH_GRADE_EXTENSION = `${PRELIM}/StructureDefinition/match-grade`;

/** On a CodeableConcept: this code system was looked through, and has no code for the finding. */
export const NO_MATCHING_CODE_EXTENSION = `${PRELIM}/StructureDefinition/no-matching-code`;

/** An earlier result of the same model for the same patient, beside the Observation of the new one. */
export const PRIOR_RESULT_EXTENSION = `${PRELIM}/StructureDefinition/prior-result`;

/** Where in a stored image the finding of an Observation lies. */
export const IMAGE_REGION_EXTENSION = `${PRELIM}/StructureDefinition/image-region`;

export const IDENTIFIER_SYSTEMS = {
  dicomUid: 'urn:dicom:uid',
  uri: 'urn:ietf:rfc:3986',
  /** `<model id>@<version>` on the Device that a model is. */
  model: `${PRELIM}/NamingSystem/model`,
  /** `<study uid>|<model>@<version>|<inputs digest>`, hashed: makes one analysis out of many requests. */
  analysis: `${PRELIM}/NamingSystem/analysis`,
  /** SHA-256 of a model's file. */
  modelChecksum: `${PRELIM}/NamingSystem/model-sha256`,
  /** SHA-256 over the tensors a model was given. */
  inputsDigest: `${PRELIM}/NamingSystem/inputs-sha256`,
  /** Hash over what a scanner says of itself, on the Device that stands for it. */
  scanner: `${PRELIM}/NamingSystem/scanner`,
  /** Our own filler number of a report (OBR-3). */
  filler: `${PRELIM}/NamingSystem/filler`,
} as const;

/** LP29684-5: the LOINC part "Radiology", category of US Core DiagnosticReport. */
export const RADIOLOGY_CATEGORY = {
  system: CODE_SYSTEMS.loinc,
  code: 'LP29684-5',
  display: 'Radiology',
} as const;
