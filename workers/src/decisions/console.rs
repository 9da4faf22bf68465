//! Links and commands that an operator can use as they stand.

use crate::ids::ExecutionArn;

/// The console of a region. Sign-in endpoints by partition: AWS General Reference, "AWS service endpoints".
fn host(partition: &str, region: &str) -> String {
    match partition {
        "aws-cn" => format!("{region}.console.amazonaws.cn"),
        "aws-us-gov" => "console.amazonaws-us-gov.com".to_owned(),
        _ => format!("{region}.console.aws.amazon.com"),
    }
}

/// A log stream in the CloudWatch console, which wants `/` twice encoded, with `$` in place of `%`.
pub fn log_stream_link(partition: &str, region: &str, group: &str, stream: &str) -> String {
    let host = host(partition, region);
    let coded = |name: &str| name.replace('/', "$252F");
    format!(
        "https://{host}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{}/log-events/{}",
        coded(group),
        coded(stream)
    )
}

/// The execution's page in the Step Functions console.
pub fn execution_link(execution: &ExecutionArn) -> String {
    let region = execution.region();
    let host = host(execution.partition(), region);
    format!("https://{host}/states/home?region={region}#/v2/executions/details/{execution}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_the_partitions_own_console() {
        let link = |partition, region| {
            execution_link(&ExecutionArn::new(format!(
                "arn:{partition}:states:{region}:123456789012:execution:gpu-recovery:e-1"
            )))
        };
        assert_eq!(
            link("aws", "us-east-1"),
            "https://us-east-1.console.aws.amazon.com/states/home?region=us-east-1#/v2/executions/details/\
             arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:e-1"
        );
        assert!(
            link("aws-cn", "cn-north-1").starts_with("https://cn-north-1.console.amazonaws.cn/")
        );
        assert!(
            link("aws-us-gov", "us-gov-west-1")
                .starts_with("https://console.amazonaws-us-gov.com/")
        );
    }
}
