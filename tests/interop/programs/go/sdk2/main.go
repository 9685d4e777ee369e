// SPDX-License-Identifier: Apache-2.0

// sdk2 fetches credentials twice with the SDK for Go v2, as its default configuration does on an instance.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
)

func main() {
	configuration, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		panic(err)
	}
	fromChain, err := configuration.Credentials.Retrieve(context.Background())
	if err != nil {
		panic(err)
	}
	fmt.Println(fromChain.AccessKeyID)
	bufio.NewReader(os.Stdin).ReadString('\n')
	again, err := ec2rolecreds.New().Retrieve(context.Background())
	if err != nil {
		panic(err)
	}
	fmt.Println(again.AccessKeyID)
}
