/**
 * What a model's manifest says, as types; `models/imaging-model-1.schema.json` is the same shape as JSON Schema and is
 * what is checked. Nothing about a model is in code: a new one is a folder with a manifest and an ONNX file.
 */
export interface Manifest {
  readonly schema: 'imaging-model/1';
  /** Lower-case letters, digits, dashes. */
  readonly id: string;
  /** Semantic version; a changed file is a new version. */
  readonly version: string;
  readonly title: string;
  readonly vendor: string;
  readonly intended_use: string;
  readonly regulatory_status: string;
  /** Path of the model card, relative to the manifest. */
  readonly card?: string;
  readonly references?: readonly string[];
  readonly file: {
    /** Relative to the manifest; may leave its folder (`../`), since the checksum is the guard. Never absolute. */
    readonly path: string;
    readonly sha256: string;
    readonly licence: string;
    /** Every file with external weights the ONNX file names, as it names it. */
    readonly external?: readonly { readonly path: string; readonly sha256: string }[];
  };
  /** One Device UID per version (IHE AIR: a changed or retrained model gets a new one). */
  readonly device: { readonly uid: string; readonly manufacturer: string; readonly model: string };
  readonly fits: Fits;
  /** Rules that only warn for this model, by rule name. All others refuse. */
  readonly warn_only?: readonly string[];
  readonly pixels: readonly PixelOp[];
  readonly inputs: readonly ModelInput[];
  readonly outputs: readonly ModelOutput[];
  readonly findings: readonly FindingRule[];
  readonly report: ReportText;
  readonly running: {
    readonly time_limit_ms: number;
    readonly concurrency_max?: number;
    /** Where the model runs; in this process when left out. */
    readonly engine?: RunningEngine;
  };
  readonly golden?: readonly GoldenCase[];
}

export type RunningEngine =
  | { readonly kind: 'onnx' }
  /** A server that speaks the Open Inference Protocol v2. `version` is the manifest's own when left out: never "whatever is newest". */
  | {
      readonly kind: 'open-inference-protocol';
      readonly url: string;
      readonly model: string;
      readonly version?: string;
    };

/** What a study must be. A field left out is not looked at. Each field is one rule of the gate. */
export interface Fits {
  readonly modality: readonly string[];
  readonly sop_class?: readonly string[];
  /** BodyPartExamined, SNOMED or free text synonyms are matched by the rule `body-part`. */
  readonly body_part?: readonly string[];
  /** Is a study without BodyPartExamined let through when its descriptions do not contradict? */
  readonly body_part_missing?: 'accept' | 'warn' | 'refuse';
  readonly view?: readonly string[];
  readonly view_missing?: 'accept' | 'warn' | 'refuse';
  readonly age_years?: { readonly min?: number; readonly max?: number };
  readonly age_missing?: 'accept' | 'warn' | 'refuse';
  /** `human`: a study that names another species is refused. */
  readonly species?: 'human';
  readonly photometric?: readonly string[];
  readonly samples_per_pixel?: number;
  readonly bits_stored?: { readonly min?: number; readonly max?: number };
  readonly pixel_signed?: boolean;
  readonly rows?: { readonly min?: number; readonly max?: number };
  readonly columns?: { readonly min?: number; readonly max?: number };
  readonly slices?: { readonly min?: number; readonly max?: number };
  readonly coverage_mm?: { readonly min?: number };
  readonly slice_thickness_mm?: { readonly min?: number; readonly max?: number };
  readonly pixel_spacing_mm?: { readonly min?: number; readonly max?: number };
  /** Largest deviation of one slice distance from the median, as a fraction. */
  readonly gap_tolerance?: number;
  readonly orientation?: 'axial';
  readonly burned_in_annotation?: boolean;
  readonly derived?: boolean;
  /** Highest LossyImageCompressionRatio. */
  readonly lossy_ratio_max?: number;
  /** Regular expressions without backtracking hazards are not offered: words that a ConvolutionKernel must not contain. */
  readonly kernel_not?: readonly string[];
  readonly kernel_prefer?: readonly string[];
  /** Looked at after decoding: how the pixels themselves must be spread. */
  readonly histogram?: {
    /** Distinct stored values at least this many. */
    readonly distinct_min?: number;
    /** No single value may fill more than this share of the image. */
    readonly single_value_share_max?: number;
  };
}

export type PixelOp =
  | { readonly op: 'stored_values' }
  /** Rescale slope and intercept, per slice: Hounsfield units for CT. */
  | { readonly op: 'modality_values' }
  | { readonly op: 'invert_if_monochrome1' }
  /** `from` null: the image's own minimum and maximum; `bits`: 0 to 2^BitsStored − 1. */
  | {
      readonly op: 'scale';
      readonly from: 'bits' | 'minmax' | readonly [number, number];
      readonly to: readonly [number, number];
    }
  /** Whole 8-bit steps: 'bits' scaled to 0..255 when more than 8 bits are stored. */
  | { readonly op: 'to_8bit'; readonly from: 'bits' | 'minmax' }
  | { readonly op: 'centre_crop_square' }
  | {
      readonly op: 'resize';
      readonly rows: number;
      readonly columns: number;
      readonly method: 'nearest' | 'bilinear' | 'bicubic' | 'lanczos' | 'area';
      /** true: the filter widens when shrinking, as Pillow does; half-pixel centres always. */
      readonly antialias: boolean;
      /** Round and clip to whole 8-bit values after resizing, as 8-bit image libraries do. */
      readonly round_8bit?: boolean;
    }
  | { readonly op: 'normalise'; readonly mean: readonly number[]; readonly std: readonly number[] }
  | { readonly op: 'channels'; readonly count: 1 | 3 }
  | { readonly op: 'clip'; readonly min: number; readonly max: number };

export interface ModelInput {
  readonly name: string;
  /** `image`: the result of `pixels`; `spacing_mm`: [slice, row, column] distances of the volume. */
  readonly gives: 'image' | 'spacing_mm';
  readonly layout?: 'NCHW' | 'NHWC' | 'DHW' | 'NCDHW';
  readonly dtype: 'float32' | 'float16' | 'int16' | 'uint8';
}

export type ModelOutput =
  | {
      readonly name: string;
      readonly kind: 'classification';
      readonly labels: readonly string[];
      /** What the graph itself gives. */
      readonly gives: 'logits' | 'probabilities';
      /** Applied here; `none` when the graph did it. */
      readonly activation: 'none' | 'sigmoid' | 'softmax';
    }
  | { readonly name: string; readonly kind: 'measurement'; readonly unit: string }
  /** Drawn into the key picture; values > 0 are the region. */
  | { readonly name: string; readonly kind: 'mask'; readonly label: string };

export type FindingRule =
  | {
      readonly key: string;
      readonly label: string;
      readonly from: { readonly output: string; readonly label: string };
      /** Never reported when true: an untrained head. */
      readonly untrained?: boolean;
      readonly threshold: { readonly positive: number; readonly indeterminate?: number };
      readonly actionable?: 1 | 2 | 3;
    }
  | {
      readonly key: string;
      readonly label: string;
      /** A measurement: the value itself is the finding. */
      readonly measures: string;
      readonly unit: string;
      readonly decimals: number;
      /** Outside this range the number means nothing and the analysis is refused. */
      readonly plausible: { readonly min: number; readonly max: number };
      /** At or above: present. Gives the measurement an interpretation, never a diagnosis by itself. */
      readonly abnormal_from?: number;
      readonly actionable?: 1 | 2 | 3;
    };

export interface ReportText {
  /** Code of the report and of the procedure analysed. */
  readonly code: { readonly system: string; readonly code: string; readonly display: string };
  /** First sentence of the conclusion is always "not reviewed by a radiologist"; this is said after it. */
  readonly caution: string;
}

export interface GoldenCase {
  readonly name: string;
  /** A folder with DICOM files, or a recipe of the phantom generator. */
  readonly files?: string;
  readonly phantom?: Readonly<Record<string, number | string>>;
  readonly expect: Readonly<Record<string, { readonly value: number; readonly tolerance: number }>>;
}
