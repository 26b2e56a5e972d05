import type { ParameterName } from './parameters.ts';

/**
 * How a site promises to acquire one kind of study. `protocols/imaging-protocol-1.schema.json` is the same shape as JSON Schema; the FHIR face
 * is a PlanDefinition (`protocol-to-plan.ts`, `plan-to-protocol.ts`).
 */
export interface ImagingProtocol {
  readonly schema: 'imaging-protocol/1';
  /** Lower-case letters, digits, dashes; also the id of the PlanDefinition. */
  readonly id: string;
  readonly version: string;
  readonly title: string;
  /** Only `active` ones are compared with studies. */
  readonly status: 'draft' | 'active' | 'retired';
  readonly purpose?: string;
  readonly references?: readonly string[];
  readonly applies: ProtocolScope;
  /** What the images must show, by parameter. */
  readonly parameters: Readonly<Partial<Record<ParameterName, ParameterLimit>>>;
  /** For people: how the patient lies, breath, contrast agent, and what a good examination shows. */
  readonly positioning?: readonly string[];
  readonly contrast_agent?: readonly string[];
  readonly quality?: readonly string[];
}

/** Which studies it is meant for: all that is given must hold. */
export interface ProtocolScope {
  readonly modality: readonly string[];
  readonly body_part?: readonly string[];
  readonly view?: readonly string[];
  readonly contrast?: 'none' | 'given';
  readonly age_years?: { readonly min?: number; readonly max?: number };
  /** Words in ProtocolName (0018,1030) or the series or study description; one is enough. */
  readonly words?: readonly string[];
}

/** Numbers in the parameter's unit, or texts. */
export interface ParameterLimit {
  readonly min?: number;
  readonly max?: number;
  readonly one_of?: readonly string[];
  readonly none_of?: readonly string[];
}
