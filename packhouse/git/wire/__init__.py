"""Git's protocol: packet lines, the advertisement of refs, requests and their answers."""

from packhouse.git.wire.advertisement import (
    AdvertisedRef,
    RefView,
    Service,
    protocol_version,
    receive_advertisement,
    upload_advertisement,
)
from packhouse.git.wire.patch_hunks import (
    WrongCounts,
    find_header,
    find_wrong_counts,
    missing_end,
    with_right_counts,
)
from packhouse.git.wire.patch_paths import find_patch_paths
from packhouse.git.wire.pktline import (
    BAND_DATA,
    BAND_PROGRESS,
    FLUSH_PKT,
    KEEPALIVE,
    ProtocolError,
    encode_band,
    encode_error,
)
from packhouse.git.wire.protocol_v2 import (
    CAPABILITIES,
    NOTHING_IN_COMMON,
    V2Request,
    encode_ls_refs,
    parse_ls_refs,
    parse_v2_request,
)
from packhouse.git.wire.receive_request import ReceiveRequest, ReceiveRequestParser, RefCommand, encode_report
from packhouse.git.wire.upload_request import UploadRequest, parse_fetch_v2, parse_upload_v0

__all__ = [
    "BAND_DATA",
    "BAND_PROGRESS",
    "CAPABILITIES",
    "FLUSH_PKT",
    "KEEPALIVE",
    "NOTHING_IN_COMMON",
    "AdvertisedRef",
    "ProtocolError",
    "ReceiveRequest",
    "ReceiveRequestParser",
    "RefCommand",
    "RefView",
    "Service",
    "UploadRequest",
    "V2Request",
    "WrongCounts",
    "encode_band",
    "encode_error",
    "encode_ls_refs",
    "encode_report",
    "find_header",
    "find_patch_paths",
    "find_wrong_counts",
    "missing_end",
    "parse_fetch_v2",
    "parse_ls_refs",
    "parse_upload_v0",
    "parse_v2_request",
    "protocol_version",
    "receive_advertisement",
    "upload_advertisement",
    "with_right_counts",
]
