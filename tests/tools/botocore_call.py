#!/usr/bin/env python3
"""One call of AWS's own library, for operations that the AWS CLI of these tests does not have yet.

    botocore_call.py SERVICE OPERATION [ARGUMENTS-AS-JSON]

Prints the answer as JSON, without what is said of the request. Endpoint and keys come from the environment.
"""
import json
import re
import sys

import botocore.session


def main():
    service, operation, *arguments = sys.argv[1:]
    client = botocore.session.get_session().create_client(service)
    method = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", operation).lower()
    answer = getattr(client, method)(**json.loads(arguments[0] if arguments else "{}"))
    answer.pop("ResponseMetadata", None)
    print(json.dumps(answer, default=str, sort_keys=True))


if __name__ == "__main__":
    main()
