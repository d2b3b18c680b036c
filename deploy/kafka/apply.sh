#!/bin/sh
# Puts the users and rights of acls.txt into force on Apache Kafka 4, with Kafka's own tools.
#
# To be run again after every `xinshao kafka render`: rights are added, every user's password is set
# to what its file says, and a platform that is no longer listed loses its user and its rights.
# Passwords are in no list and on no command line. docs/kafka.md describes all of it.
set -eu

if [ $# -ne 4 ]; then
    echo "用法：apply.sh 消息服务地址 管理员的client.properties 密码文件夹 acls.txt" >&2
    exit 2
fi
servers=$1 admin=$2 secrets=$3 list=$4

acls() { kafka-acls.sh --bootstrap-server "$servers" --command-config "$admin" "$@" </dev/null; }
users() {
    kafka-configs.sh --bootstrap-server "$servers" --command-config "$admin" \
        --entity-type users "$@" </dev/null
}

rules=$(grep -v '^#' "$list")
wanted=$(echo "$rules" | cut -d ' ' -f 1 | sort -u)
namespace=$(echo "$wanted" | sed -n 's/\.worker$//p')
for user in $wanted; do
    if ! [ -s "$secrets/$user" ]; then
        echo "缺少密码文件 $secrets/$user：请用 openssl rand -hex 32 生成，并只让管理员可读" >&2
        exit 1
    fi
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

echo "$rules" | while read -r user operations resource names; do
    set --
    for operation in $(echo "$operations" | tr ',' ' '); do
        set -- "$@" --operation "$operation"
    done
    for name in $names; do
        set -- "$@" "--$resource" "$name"
    done
    acls --add --allow-principal "User:$user" "$@"
done

for user in $wanted; do
    printf 'SCRAM-SHA-512=password=%s\n' "$(cat "$secrets/$user")" >"$scratch/credential"
    users --alter --entity-name "$user" --add-config-file "$scratch/credential"
done

users --describe >"$scratch/users"
sed -n "s/.*'\($namespace\.ingress\.[^']*\)'.*/\1/p" "$scratch/users" | while read -r user; do
    if ! echo "$wanted" | grep -qxF "$user"; then
        echo "撤销 $user"
        users --alter --entity-name "$user" --delete-config SCRAM-SHA-512
        acls --remove --force --topic "$user"
    fi
done
