//! Every read operation of the Lambda API, and what becomes of it: collected by which collector, or why not. `tests/it/collect/lambda_surface.rs`
//! holds the table against the SDK's operations, so that one that AWS adds is decided before the SDK can be updated.
//!
//! Last compared by hand with botocore 1.44.5 (API of 2015-03-31, 91 operations): its 38 read operations are those of aws-sdk-lambda 1.156.

/// What becomes of a read operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The id of the collectors that declare it; each holds the operation's answers.
    By(&'static [&'static str]),
    /// The same members are in another operation's answers, which are collected.
    Within(&'static str),
    /// It says nothing about one function, or cannot be asked by us.
    Not(&'static str),
}
use Decision::{By, Not, Within};

pub static LAMBDA_READS: &[(&str, Decision)] = &[
    ("GetAccountSettings", By(&["capacity"])),
    ("GetAlias", Within("ListAliases")),
    ("GetCapacityProvider", By(&["capacity"])),
    ("GetCodeSigningConfig", By(&["code-signing"])),
    ("GetDurableExecution", By(&["durable-executions"])),
    ("GetDurableExecutionHistory", By(&["durable-executions"])),
    ("GetDurableExecutionState", Not("it wants the checkpoint token of the running invocation, which only the function has")),
    ("GetEventSourceMapping", By(&["event-source-mappings"])),
    ("GetFunction", By(&["configuration", "qualified-configuration", "function-code", "version-code"])),
    ("GetFunctionCodeSigningConfig", By(&["code-signing"])),
    ("GetFunctionConcurrency", By(&["concurrency"])),
    ("GetFunctionConfiguration", Within("GetFunction")),
    ("GetFunctionEventInvokeConfig", Within("ListFunctionEventInvokeConfigs")),
    ("GetFunctionRecursionConfig", By(&["recursion"])),
    ("GetFunctionScalingConfig", By(&["capacity"])),
    ("GetFunctionUrlConfig", Within("ListFunctionUrlConfigs")),
    ("GetLayerVersion", Within("GetLayerVersionByArn")),
    ("GetLayerVersionByArn", By(&["layers"])),
    ("GetLayerVersionPolicy", By(&["layers"])),
    ("GetPolicy", By(&["resource-policy"])),
    ("GetProvisionedConcurrencyConfig", Within("ListProvisionedConcurrencyConfigs")),
    ("GetResourcePolicy", By(&["resource-policy-document"])),
    ("GetRuntimeManagementConfig", By(&["runtime-management"])),
    ("ListAliases", By(&["aliases"])),
    ("ListCapacityProviders", Not("a list of the account's; the providers that the function names are read")),
    ("ListCodeSigningConfigs", Not("a list of the account's; the configuration that the function names is read")),
    ("ListDurableExecutionsByFunction", By(&["durable-executions"])),
    ("ListEventSourceMappings", By(&["event-source-mappings"])),
    ("ListFunctionEventInvokeConfigs", By(&["async-destinations"])),
    ("ListFunctionUrlConfigs", By(&["function-urls"])),
    ("ListFunctionVersionsByCapacityProvider", By(&["capacity"])),
    ("ListFunctions", By(&["shared-role-census"])),
    ("ListFunctionsByCodeSigningConfig", Not("it names other functions that trust the same signers, and says nothing of this one")),
    ("ListLayerVersions", By(&["layers"])),
    ("ListLayers", Not("a list of the account's; the layers that the function names are read")),
    ("ListProvisionedConcurrencyConfigs", By(&["capacity"])),
    ("ListTags", By(&["tags"])),
    ("ListVersionsByFunction", By(&["versions"])),
];
