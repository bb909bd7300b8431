/**
 * headzip: which attention heads of a language model need their long-context KV cache, and eviction of the rest.
 * The README's quick start uses what is exported here.
 * Functions check what they are given before they do anything: a TypeError for another kind of value, a RangeError for a
 * value that cannot be, each one sentence that names the parameter, with the code HEADZIP_PARAMETER.
 */

export type { NeedleOptions } from './data/needle.js'
export type { NeedlePosition, Sample, TextTokenizer } from './data/sample.js'
export { type FetchDatasetFile, type ReadOptions, readSample, readSamples } from './data/samples.js'
export { knownNames as dataSetNames } from './data/sets.js'
export type { Template } from './data/templates.js'
export {
  type Addon,
  type KernelTime,
  loadAddon,
  type NativeCacheInfo,
  type NativeDevices,
  type NativeMeans,
  type NativeMemory,
  type NativeWindow,
} from './engine/binding.js'
export type { JobOptions, Progress } from './engine/job.js'
export type { Device, EngineOptions } from './engine/open.js'
export {
  type AttentionSpec,
  type DenseSpec,
  type EngineSpec,
  type LayerSpec,
  type ModelSpec,
  type MoeSpec,
  type Rope,
  type Scales,
  type StoredType,
  scoredLayers,
  type WeightRef,
} from './engine/spec.js'
export { version } from './engine/version.js'
export { type ErrorCode, InputError, isUserError } from './errors.js'
export type { NamedScores } from './eval/arms.js'
export { type EvaluateOptions, type EvaluateSummary, evaluate } from './eval/evaluate.js'
export type { References } from './eval/judge.js'
export { mergeResultFolders } from './eval/merge-results.js'
export type { MetricName, TextMetricName } from './eval/metrics/index.js'
export type { EmptyRule } from './eval/metrics/repoqa.js'
export {
  type Profile,
  type ProfiledAnswer,
  type ProfiledCache,
  type ProfiledStep,
  type ProfileOptions,
  profileSample,
} from './eval/profile.js'
export type { ResultRow, ResultSettings, SampleResult } from './eval/record.js'
export { readNamedScores } from './eval/score-choice.js'
export { readResults } from './eval/store.js'
export { type SummaryOptions, type SummaryRow, summarize } from './eval/summary.js'
export { formatSummary } from './eval/table.js'
export { writeResultFiles } from './eval/write-results.js'
export type { FileContent, WriteOptions } from './files/write.js'
export { detectFormat, importScores, readAnyScores, type ScoreFormat } from './formats/detect.js'
export { type DuoOptions, exportDuo, importDuo } from './formats/duo.js'
export type { Exported, ImportOptions } from './formats/foreign.js'
export { type ExportOptions, exportScores, type FormatName, formatNames } from './formats/formats.js'
export { exportKvzip, importKvzip, type KvzipOptions } from './formats/kvzip-pt.js'
export type { Ties } from './formats/ties.js'
export type { TorchType } from './formats/torch-tensor.js'
export { type DatasetFileOptions, fetchDatasetFile } from './hub/fetch-dataset.js'
export type { HubOptions } from './hub/fetch-model.js'
export { type LocatedModel, type LocateOptions, locateModel } from './hub/locate.js'
export type { NamedProxy, ProxySettings } from './hub/proxy.js'
export type { HubWait } from './hub/retry.js'
export { type CachedModel, type CachedRevision, scanModels } from './hub/scan.js'
export { type HubSettings, hubSettings } from './hub/settings.js'
export { resolveShortName, type ShortName, shortNames } from './hub/short-names.js'
export { shortNameTable } from './hub/tables.js'
export type { DownloadProgress } from './hub/transfers.js'
export { budgetOfCache } from './inference/cache-budget.js'
export { Conversation } from './inference/conversation.js'
export type {
  BatchOptions,
  BatchQuery,
  FinishReason,
  GeneratedIds,
  GenerateIdsOptions,
  GenerateOptions,
  Generation,
} from './inference/generate.js'
export {
  type CacheKind,
  KvCache,
  type ModelIdentity,
  type PruneOptions,
  type PruneResult,
} from './inference/kv-cache.js'
export { type Level, type LevelOptions, levels, type PairScores } from './inference/levels.js'
export {
  type AnswerLogProbs,
  type LoadOptions,
  loadModel,
  type Means,
  type Model,
  type ScoreChunksParams,
  type ScoredPairs,
  type ScorePairsParams,
} from './inference/model.js'
export type { PrefillOptions } from './inference/prefill.js'
export type { SamplingOptions } from './inference/sampling.js'
export type { SaveOptions } from './inference/save-cache.js'
export type { StreamOptions } from './inference/stream.js'
export type { ChatFormatName } from './model/chat-formats.js'
export type { Turns } from './model/chat-template.js'
export { describeModel, type EngineDescription, type ModelDescription } from './model/describe.js'
export type { Family, ModelPlan, WeightName } from './model/families/family.js'
export { families } from './model/families/index.js'
export type { Prompts } from './model/prompts.js'
export { type ReconstructionInput, reconstructionInputs } from './model/reconstruction.js'
export type { LongContext } from './model/rope.js'
export type { TokenizerLimits } from './model/tokenizer/limits.js'
export type { DecodeOptions, EncodeOptions, Tokenizer } from './model/tokenizer.js'
export { type DifferenceOptions, differenceMap } from './report/difference.js'
export { type HeatmapOptions, heatmap } from './report/heatmap.js'
export { type PageOptions, reportPage } from './report/page.js'
export { type Panel, panelsOf } from './report/panels.js'
export { pictures } from './report/pictures.js'
export { renderPng } from './report/png.js'
export { layerProfile, type ProfileOptions as LayerProfileOptions } from './report/profile.js'
export { type ReportOptions, type ReportPaths, writeReport } from './report/report.js'
export { agreementScatter, type ScatterOptions } from './report/scatter.js'
export { type StabilityCurveOptions, stabilityCurve } from './report/stability.js'
export { budgetTable, provenanceBlock } from './report/tables.js'
export { readScores, writeScores } from './scores/arrow.js'
export {
  type Budget,
  type BudgetInput,
  type BudgetOptions,
  budget,
  budgetOf,
  formatBudget,
} from './scores/budget.js'
export {
  type Comparison,
  compareScores,
  kendall,
  type SideChange,
  spearman,
  topShareOverlap,
} from './scores/compare.js'
export type { HeadScores, PairMethod, Provenance, ScoreMethod, Source, Sweep } from './scores/head-scores.js'
export { mergeScores } from './scores/merge.js'
export {
  type PairShape,
  randomHeads,
  type Selection,
  type SelectionRule,
  type SelectOptions,
  selectHeads,
  selectPairs,
} from './scores/select.js'
export {
  type Band,
  chunkParts,
  confidenceBands,
  convergence,
  mergeParts,
  type Part,
  type Spread,
  type StabilityOptions,
  type Step,
} from './scores/stability.js'
export { duoEstimate, type EstimateShape, estimateLength, type LayerMeans } from './scoring/duo-estimate.js'
export { type ScoredHeads, type ScoreOptions, scoreHeads } from './scoring/score.js'
export { type StoppedScores, scoreUntilStable, type UntilStable } from './scoring/until-stable.js'
export type { Eviction, WhileReading } from './serve/contexts.js'
export type { ServeOptions } from './serve/options.js'
export { type RunningServer, serve } from './serve/server.js'
export { parseShard, type Shard, shardFromEnvironment } from './shard.js'
export {
  type CaseReport,
  type Quantity,
  type VerifyOptions,
  type VerifyReport,
  verifyModel,
} from './verify/verify.js'
