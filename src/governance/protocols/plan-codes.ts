import { PRELIM } from '../../kernel/code-systems.ts';

/** Names that a PlanDefinition uses where FHIR has none; `docs/imaging-protocols.md` lists them. */
export const PLAN_TYPE = { system: `${PRELIM}/CodeSystem/plan`, code: 'imaging-protocol' } as const;
/** `useContext.code`: modality, body-part, view, contrast, age, words. */
export const SCOPE_SYSTEM = `${PRELIM}/CodeSystem/protocol-scope`;
/** `goal.target.measure`: the parameters of `parameters.ts`. */
export const PARAMETER_SYSTEM = `${PRELIM}/CodeSystem/protocol-parameter`;
/** `goal.category`: required, excluded. `action.code`: positioning, contrast-agent, quality. */
export const PART_SYSTEM = `${PRELIM}/CodeSystem/protocol-part`;
export const UCUM = 'http://unitsofmeasure.org';
export const protocolUrl = (id: string) => `${PRELIM}/PlanDefinition/${id}`;
