import { kinds, type SettingDefinition } from '../setting-kinds.ts';

/** Models, imaging protocols, and how models are run. Part of `SETTINGS`. */
export const MODEL_SETTINGS = {
  PRELIM_MODELS: {
    kind: kinds.folders,
    default: '',
    means: 'Folders with models of your own, separated by ":".',
  },
  PRELIM_MODEL_STATE: {
    kind: kinds.oneOf(['pilot', 'shadow']),
    default: 'pilot',
    means:
      'State of a model version that nobody has released: "pilot" sends its results out, "shadow" keeps them inside.',
  },
  PRELIM_PROTOCOLS: {
    kind: kinds.folders,
    default: '',
    means: 'Folders with imaging protocols of your own, separated by ":".',
  },
  GATE_KEPT_DAYS: {
    kind: kinds.integer(1, 3_660),
    default: '400',
    means:
      'Days for which the verdicts of the gate and the conformance to imaging protocols are counted by scanner.',
  },
  INFERENCE_THREADS: {
    kind: kinds.integer(0, 64),
    default: '0',
    means: 'Threads of one model run. 0: as many as there are cores.',
  },
  INFERENCE_PROVIDERS: {
    kind: kinds.list(['cpu', 'cuda']),
    default: 'cpu',
    means:
      'Where ONNX models run, first choice first: "cuda,cpu" uses an NVIDIA GPU when ONNX Runtime finds its CUDA parts.',
  },
  INFERENCE_ISOLATION: {
    kind: kinds.oneOf(['process', 'thread']),
    default: 'process',
    means:
      'Where a model runs: "process": in one of its own, so that its crash or time-out ends nothing else; "thread": in the server, without copying tensors.',
  },
  INFERENCE_SESSIONS_MAX: {
    kind: kinds.integer(1, 256),
    default: '8',
    means: 'Models kept loaded at the same time; the one unused for longest makes room.',
  },
  INFERENCE_RUNS_MAX: {
    kind: kinds.integer(1, 64),
    default: '2',
    means: 'Model runs at the same time in one process of the server.',
  },
  INFERENCE_BATCH_MAX: {
    kind: kinds.integer(1, 256),
    default: '1',
    means:
      'Waiting images of one model computed in one run, where a trial at the start shows that it changes no number. 1: never; worth it on a GPU.',
  },
  INFERENCE_HOSTS: {
    kind: kinds.hosts,
    default: '',
    means: 'Hosts of Open Inference Protocol servers that a manifest may name. Empty: none.',
  },
  SNOMED_LICENSED: {
    kind: kinds.oneOf(['no', 'yes']),
    default: 'no',
    means:
      'yes: this site holds a SNOMED CT licence, and codes outside the free Global Patient Set are used too.',
  },
} as const satisfies Record<string, SettingDefinition>;
