import { definitions } from './definitions/definitions.ts';

/** The names of all R4 resource types. Needs the definitions loaded, as everybody has them who holds a ResourceStore. */
export const resourceTypes = (): readonly string[] => definitions().resourceTypes;
