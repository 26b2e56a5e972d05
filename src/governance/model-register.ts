import { checkModel, type ModelRefusal, type RegisteredModel } from './check-model.ts';
import { compareVersions } from './compare-versions.ts';
import { findModelFolders } from './find-model-folders.ts';
import type { InspectModel } from './inspect-model.ts';
import type { ModelState } from './model-release.ts';

/**
 * The models this server may run, read once at start. A bad model is refused with all its faults; the others go on. Their states are read
 * from the database again and again (`model-states.ts`): a person may release or retire one while the server runs.
 */
export class ModelRegister {
  private readonly models: readonly RegisteredModel[];
  private states: ReadonlyMap<string, ModelState> = new Map();
  private firstState: ModelState = 'pilot';

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

  /**
   * The model of `<id>@<version>`, whatever its state; or of `<id>` the version in use: the newest that is live, else in pilot, else in
   * shadow. null when there is none, or every version of `<id>` is retired.
   */
  get(ref: string): RegisteredModel | null {
    const exact = this.models.find((model) => model.ref === ref);
    if (exact) return exact;
    const versions = this.models.filter((model) => model.manifest.id === ref);
    for (const state of IN_USE) {
      const version = versions.find((model) => this.stateOf(model.ref) === state);
      if (version) return version;
    }
    return null;
  }

  stateOf(ref: string): ModelState {
    return this.states.get(ref) ?? this.firstState;
  }

  /** `first`: of versions that nobody has released. */
  setStates(states: ReadonlyMap<string, ModelState>, first: ModelState): void {
    this.states = states;
    this.firstState = first;
  }

  /** By id, newest version first. */
  list(): readonly RegisteredModel[] {
    return this.models;
  }

  /** Those with something wrong. */
  refusals(): readonly ModelRefusal[] {
    return this.refused.filter(({ get }) => get === undefined);
  }

  /** Packages whose file is not here, each with how to get it: nothing is wrong with them. */
  absent(): readonly ModelRefusal[] {
    return this.refused.filter(({ get }) => get !== undefined);
  }
}

const IN_USE: readonly ModelState[] = ['live', 'pilot', 'shadow'];

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
