import { ownPackageFolder, type PackageResource, readPackage } from './profiles/package-folder.ts';

/** The profiles and operations this project publishes (`fhir-profiles/`), each with a fixed id, for the FHIR store. */
export function publishedProfiles(): (PackageResource & { id: string })[] {
  return readPackage(ownPackageFolder()).map((resource) => ({ ...resource, id: String(resource.id) }));
}
