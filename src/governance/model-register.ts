import { checkModel, type ModelRefusal, type RegisteredModel } from './check-model.ts';
import { compareVersions } from './compare-versions.ts';
import { findModelFolders } from './find-model-folders.ts';
import type { InspectModel } from './inspect-model.ts';

/** The models this server may run, read once at start. A bad model is refused with all its faults; the others go on. */
export class ModelRegister {
  private readonly models: readonly RegisteredModel[];

  constructor(
    models: readonly RegisteredModel[],
    private readonly refused: readonly ModelRefusal[],
  ) {
    this.models = [...models].sort(
      (a, b) =>
        compareText(a.manifest.id, b.manifest.id) || compareVersions(b.manifest.version, a.manifest.version),
    );
  }

  /**
   * Reads every model under the folders. `required` folders that do not exist are refusals (PRELIM_MODELS); the project's own
   * folder may be missing.
   */
  static async read(folders: ModelFolders, inspect: InspectModel): Promise<ModelRegister> {
    const found: string[] = [];
    const refusals: ModelRefusal[] = [];
    for (const folder of folders.own) found.push(...((await findModelFolders(folder)) ?? []));
    for (const folder of folders.required) {
      const under = await findModelFolders(folder);
      if (under === null) refusals.push({ folder, faults: [{ text: 'there is no such folder' }] });
      else if (under.length === 0)
        refusals.push({ folder, faults: [{ text: 'there is no manifest in or under it' }] });
      else found.push(...under);
    }
    const checked = await Promise.all([...new Set(found)].map((folder) => checkModel(folder, inspect)));
    const models: RegisteredModel[] = [];
    for (const model of checked) {
      const refusal = 'faults' in model ? model : doubled(model, models);
      if (refusal !== null) refusals.push(refusal);
      else if (!('faults' in model)) models.push(model);
    }
    return new ModelRegister(models, refusals);
  }

  /** The model of `<id>@<version>`, or the newest version of `<id>`; null when there is none. */
  get(ref: string): RegisteredModel | null {
    return this.models.find((model) => model.ref === ref || model.manifest.id === ref) ?? null;
  }

  /** By id, newest version first. */
  list(): readonly RegisteredModel[] {
    return this.models;
  }

  refusals(): readonly ModelRefusal[] {
    return this.refused;
  }
}

export interface ModelFolders {
  /** Looked at when they exist. */
  readonly own: readonly string[];
  /** Named by a person: must exist and hold a model. */
  readonly required: readonly string[];
}

/** One version is one file and one device (IHE AIR): the second of two that claim the same is refused. */
function doubled(model: RegisteredModel, others: readonly RegisteredModel[]): ModelRefusal | null {
  const same = others.find(({ ref }) => ref === model.ref);
  const device = others.find(({ manifest }) => manifest.device.uid === model.manifest.device.uid);
  const faults = [
    ...(same ? [{ at: '/version', text: 'another folder holds the same id and version' }] : []),
    ...(device ? [{ at: '/device/uid', text: `is the device UID of ${device.ref} too` }] : []),
  ];
  if (faults.length === 0) return null;
  return { folder: model.folder, id: model.manifest.id, version: model.manifest.version, faults };
}

const compareText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
