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
  /** What its maker says of its performance, one sentence each. */
  readonly claims?: readonly string[];
  readonly file: {
    /** Relative to the manifest; may leave its folder (`../`), since the checksum is the guard. Never absolute. */
    readonly path: string;
    readonly sha256: string;
    /** How to get the file, said while it is absent. */
    readonly get?: string;
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
      /**
       * `required` (when left out): images with text in their pixels, or of kinds that often have it, are not sent. `off`: for a server of the site's own,
       * under its own roof.
       */
      readonly deidentify?: 'required' | 'off';
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
  readonly orientation?: 'axial' | 'coronal' | 'sagittal';
  /** Largest gantry tilt: degrees between the slices' normal and the way the table went. */
  readonly tilt_degrees_max?: number;
  /** May two slices lie at one place? `false` is meant too where `gap_tolerance` is given. */
  readonly duplicates?: boolean;
  readonly sex?: readonly ('F' | 'M' | 'O')[];
  /** What it means when images and record contradict each other about sex or birth date; `warn` when left out. */
  readonly patient_mismatch?: 'warn' | 'refuse';
  /** Codes (`system|code` or a bare code) of problems, and of reasons for an exam, for which the model was not made. */
  readonly problems_not?: readonly string[];
  /** Which side, by Laterality or ImageLaterality; `B` both, `U` unpaired. */
  readonly laterality?: readonly ('L' | 'R' | 'B' | 'U')[];
  /** Was contrast agent given? */
  readonly contrast?: 'none' | 'given';
  /** Codes of the procedure, `system|code` or a bare code: one of those in the images must be listed. */
  readonly procedure?: readonly string[];
  /** false: screenshots, Secondary Capture and reformats (ImageType SECONDARY) are refused. */
  readonly secondary?: boolean;
  /** Attributes that must be there with a value, by DICOM keyword or as `gggg,eeee`. */
  readonly attributes?: readonly string[];
  /** What a deviation from the site's imaging protocol means for this model; left out: it is only counted. */
  readonly protocol?: 'warn' | 'refuse';
  /** By rule name: what is done with a study that does not say what the rule looks at. `refuse` when left out. */
  readonly missing?: Readonly<Record<string, 'accept' | 'warn' | 'refuse'>>;
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
    /** Shannon entropy of the stored values, bits: drawings and test patterns have few. */
    readonly entropy_bits_min?: number;
    /** Share of pixels that equal their left neighbour: drawn areas do, areas with noise do not. */
    readonly repeat_share_max?: number;
    /** Rule `blank`: distance between the 1st and the 99th percentile, stored values. */
    readonly spread_min?: number;
    /** Rule `saturated`: share of pixels at the lowest, or at the highest, value met. */
    readonly saturated_share_max?: number;
  };
}

export type PixelOp =
  | { readonly op: 'stored_values' }
  /** Rescale slope and intercept, per slice, which gives Hounsfield units for CT; or the file's Modality LUT. */
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
      /**
       * Where a target pixel's centre lies in the source. `half_pixel` (left out): the edges of the images meet, as in Pillow, and
       * in PyTorch without `align_corners`. `align_corners`: the centres of the corner pixels meet.
       */
      readonly centres?: 'half_pixel' | 'align_corners';
      /** Round and clip to whole 8-bit values after resizing, as 8-bit image libraries do. */
      readonly round_8bit?: boolean;
    }
  | { readonly op: 'normalise'; readonly mean: readonly number[]; readonly std: readonly number[] }
  | { readonly op: 'channels'; readonly count: 1 | 3 }
  | { readonly op: 'clip'; readonly min: number; readonly max: number }
  /** VOI (PS3.3 C.11.2): onto `to`, held there. `voi` file: the first window of the file, or its first VOI LUT where it has no window; `prefer` table: the other way round. `missing`: what to do without either. */
  | {
      readonly op: 'window';
      readonly voi: 'file' | FixedWindow;
      readonly to: readonly [number, number];
      readonly prefer?: 'window' | 'table';
      readonly missing?: 'refuse' | 'minmax';
    }
  /** (x − mean) / std of this image or volume; `nonzero`: over the values that are not 0, which alone are changed. */
  | { readonly op: 'z_score'; readonly over: 'image' | 'volume'; readonly foreground?: 'all' | 'nonzero' }
  /** Clipped to two percentiles (linear between ranks), then onto `to` where it is given. */
  | {
      readonly op: 'percentile_clip';
      readonly over: 'image' | 'volume';
      readonly low: number;
      readonly high: number;
      readonly foreground?: 'all' | 'nonzero';
      readonly to?: readonly [number, number];
    }
  /** `at`: `centre`, or the first row and column (and slice before them). An image that is smaller is refused: pad it first. */
  | {
      readonly op: 'crop';
      readonly rows: number;
      readonly columns: number;
      readonly slices?: number;
      readonly at: 'centre' | readonly number[];
    }
  /** To at least this size; a larger image stays as it is. */
  | {
      readonly op: 'pad';
      readonly rows: number;
      readonly columns: number;
      readonly slices?: number;
      readonly where: 'both' | 'end';
      readonly value: number | 'min';
    }
  /** The shorter side filled on both ends until the image is square. */
  | { readonly op: 'pad_square'; readonly value: number | 'min' }
  /**
   * To these distances: two numbers (row, column) for each image, three (slice, row, column) for the volume. `origin`:
   * `edges` keeps the outer edges, so the distances differ a little from those asked for; `first_voxel` keeps the first voxel's centre.
   */
  | {
      readonly op: 'resample_spacing';
      readonly mm: readonly number[];
      readonly method: 'nearest' | 'bilinear' | 'bicubic';
      readonly origin: 'edges' | 'first_voxel';
    }
  /** Axes of the patient. `LPS`: columns run to the left, rows to the back, slices to the head. Nothing is interpolated. */
  | { readonly op: 'reorient'; readonly to: 'LPS' | 'RAS'; readonly axes?: 'zyx' | 'xyz' };

export interface FixedWindow {
  readonly centre: number;
  readonly width: number;
  readonly shape: 'LINEAR' | 'LINEAR_EXACT' | 'SIGMOID';
}

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
      /**
       * After the activation: each label's operating point is moved to 0.5, as torchxrayvision's `op_norm` does. null: a label that
       * was not trained. Left out when the graph did it.
       */
      readonly op_norm?: readonly (number | null)[];
    }
  | { readonly name: string; readonly kind: 'measurement'; readonly unit: string }
  /** Drawn into the key picture; values > 0 are the region. */
  | { readonly name: string; readonly kind: 'mask'; readonly label: string }
  | DetectionOutput
  | SegmentationOutput
  /** High where the model looked; any size, half-pixel centres. Its brightest region, at `level` of its peak, is where a finding lies. */
  | { readonly name: string; readonly kind: 'heat_map'; readonly label: string; readonly level: number };

/** Boxes in pixels of the tensor (or shares of its sides), one row per candidate. */
export interface DetectionOutput {
  /** The output with the boxes, [candidates, numbers] or [numbers, candidates] with `candidates: last`. */
  readonly name: string;
  readonly kind: 'detection';
  readonly labels: readonly string[];
  /** Two-dimensional forms for images, three-dimensional ones (x, y, z; z along the slices) for volumes. */
  readonly form: 'xyxy' | 'xywh' | 'cxcywh' | 'xyzxyz' | 'cxcyczwhd';
  readonly unit: 'pixels' | 'share';
  readonly candidates?: 'first' | 'last';
  /** An output of their own, or the column of the boxes' row where they begin; several columns: one per label. */
  readonly scores: { readonly output: string } | { readonly column: number };
  readonly activation: 'none' | 'sigmoid';
  /** Class numbers, an output or a column; left out when there is one score per label, or one label. */
  readonly classes?: { readonly output: string } | { readonly column: number };
  /** Class number of the first label: 1 where 0 is the background. */
  readonly first_class?: number;
  /** Candidates below are dropped before everything else. */
  readonly score_min: number;
  /** `graph`: done there. */
  readonly nms: 'graph' | { readonly iou: number; readonly across_classes: boolean };
}

/** A label per pixel or voxel. Channels come before the spatial axes; the mask may be coarser than the tensor. */
export interface SegmentationOutput {
  readonly name: string;
  readonly kind: 'segmentation';
  /** In the order of the channels or label numbers. An empty label is background. */
  readonly labels: readonly string[];
  /** `argmax` over the channels; `threshold` per channel, after the activation; `label_map`: the graph did it. */
  readonly decode: 'argmax' | 'threshold' | 'label_map';
  readonly activation?: 'none' | 'sigmoid';
  readonly threshold?: number;
  /** `largest`: of each label only the largest piece, face to face. */
  readonly keep: 'all' | 'largest';
  /** Pieces below are dropped: mL in a volume, mm² in an image. */
  readonly size_min?: number;
}

export type FindingRule =
  | {
      readonly key: string;
      readonly label: string;
      /** A label of a classification, or of a detection: then the best box decides, and all boxes at or above a threshold are shown. */
      readonly from: { readonly output: string; readonly label: string };
      /** Heat map that shows where. */
      readonly shown_by?: string;
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
      /** Label of a segmentation: what is measured is its volume (`mL`) or area (`mm2`). */
      readonly of?: string;
      readonly unit: string;
      readonly decimals: number;
      /** Outside this range the number means nothing and the analysis is refused. */
      readonly plausible: { readonly min: number; readonly max: number };
      /** At or above: present. Gives the measurement an interpretation, never a diagnosis by itself. */
      readonly abnormal_from?: number;
      /** At or above, but below `abnormal_from`: indeterminate. */
      readonly indeterminate_from?: number;
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
