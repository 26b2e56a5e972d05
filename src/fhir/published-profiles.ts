import type { OperationRegistry } from './operation-registry.ts';
import { ownPackageFolder, type PackageResource, readPackage } from './profiles/package-folder.ts';

/** The profiles and operations this project publishes (`fhir-profiles/`), each with a fixed id, for the FHIR store. */
export function publishedProfiles(): (PackageResource & { id: string })[] {
  return readPackage(ownPackageFolder()).map((resource) => ({ ...resource, id: String(resource.id) }));
}

/** For the CapabilityStatement: our profiles of each type. */
export function describeProfiles(operations: OperationRegistry): void {
  for (const one of publishedProfiles()) {
    if (one.resourceType !== 'StructureDefinition' || one.type === 'Extension') continue;
    operations.support(one.type, { profiles: [one.url] });
  }
}
